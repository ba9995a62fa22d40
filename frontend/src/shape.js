// The rule as the builder holds it and as it is sent. The server's parser decides what is valid.

// More than this, people edit as text.
const MAX_DEPTH = 50;
const MAX_PARTS = 400;

let signals = new Map();

export function setSignals(groups) {
  signals = new Map(groups.flatMap((group) => group.options.map((each) => [each.name, each])));
}

export function signalOf(rule) {
  return signals.get(rule.field);
}

// The keys of all signals' arguments.
function argumentNames() {
  return new Set([...signals.values()].flatMap((signal) => signal.args.map((each) => each.name)));
}

export function operatorOf(rule) {
  return signalOf(rule)?.operators.find((each) => each.name === rule.operator);
}

export function firstCondition() {
  return withDefaults({ field: signals.keys().next().value, operator: "", value: "" });
}

// A new condition, or one whose signal has just been chosen.
export function withDefaults(rule) {
  const { operator, value, window } = signalOf(rule).defaults;
  return tidyCondition({ ...rule, operator, value, ...(window === null ? {} : { window }) });
}

// Without this, the window and the arguments of the signal chosen before would stay.
function tidyCondition(rule) {
  const signal = signalOf(rule);
  if (!signal) return rule;
  const kept = { ...rule };
  if (signal.window === "none") delete kept.window;
  if (signal.window === "required" && kept.window === undefined) kept.window = 7;
  const own = signal.args.map((each) => each.name);
  for (const name of argumentNames()) if (!own.includes(name)) delete kept[name];
  for (const { name, required } of signal.args) if (required) kept[name] ??= "";
  kept.value = fittingValue(kept.value, operatorOf(kept)?.takes);
  return kept;
}

function fittingValue(value, takes) {
  const list = Array.isArray(value) ? value : value === "" || value === undefined ? [] : [value];
  if (takes === "nothing") return "";
  if (takes === "many") return list;
  if (takes === "two") return [list[0] ?? "", list[1] ?? ""];
  return Array.isArray(value) ? (value[0] ?? "") : (value ?? "");
}

export function tidy(part) {
  if (!Array.isArray(part.rules)) return tidyCondition(part);
  return { ...part, rules: part.rules.map(tidy) };
}

// What is sent and stored: without the keys that only the builder needs.
export function plain(part) {
  if (Array.isArray(part.rules)) {
    const { id, path, rules, not, ...kept } = part;
    return { ...kept, not: not ?? false, rules: rules.map(plain) };
  }
  const { id, path, valueSource, ...kept } = part;
  if (operatorOf(part)?.takes === "nothing") delete kept.value;
  for (const { name, required } of signalOf(part)?.args ?? []) if (!required && !kept[name]) delete kept[name];
  return kept;
}

// Whether the builder can show what somebody typed as JSON.
export function isShowable(data) {
  let parts = 0;
  const isPart = (part, depth) => {
    parts += 1;
    if (part === null || typeof part !== "object" || depth > MAX_DEPTH || parts > MAX_PARTS) return false;
    if (typeof part.field === "string") return typeof part.operator === "string";
    return Array.isArray(part.rules) && part.rules.every((each) => isPart(each, depth + 1));
  };
  return Array.isArray(data?.rules) && isPart(data, 1);
}

// [0, 2] is rules[0].rules[2], as in the server's faults.
export function pathText(path) {
  return path.map((index) => `rules[${index}]`).join(".");
}

// A number, or the text as typed: the server says what is wrong with it.
export function readNumber(text, { percent = false } = {}) {
  const typed = text.trim();
  if (!/^-?\d+([.,]\d*)?$/.test(typed)) return typed;
  const number = Number(typed.replace(",", "."));
  return percent ? rounded(number / 100) : number;
}

export function showNumber(value, { percent = false } = {}) {
  if (typeof value !== "number") return String(value ?? "");
  return String(percent ? rounded(value * 100) : value);
}

// 0.07 times 100 is 7, not 7.000000000000001.
function rounded(number) {
  return Number(number.toPrecision(12));
}
