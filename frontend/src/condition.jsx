// One condition: its signal with window and arguments, its value with the unit, and its faults.
import { useEffect, useId, useState } from "react";
import { Rule, toOptions, useValueSelector } from "react-querybuilder";
import { operatorOf, pathText, readNumber, showNumber, signalOf } from "./shape.js";

function faultsOf({ context, path }) {
  return context.faults.filter((fault) => fault.at === pathText(path));
}

// Attributes that tie a control to the fault at its key.
function faulty(props, key) {
  const found = faultsOf(props).some((fault) => fault.key === key);
  return found ? { "aria-invalid": true, "aria-describedby": faultId(props) } : {};
}

function faultId({ context, path }) {
  return `${context.name}-${path.join("-")}-fault`;
}

export function Faults({ context, path }) {
  const found = faultsOf({ context, path });
  if (!found.length) return null;
  return (
    <ul className="fault" id={faultId({ context, path })}>
      {found.map((fault) => <li key={fault.sentence}>{fault.sentence}</li>)}
    </ul>
  );
}

function definition(signal, rule) {
  const days = rule.window === 1 ? "1 day" : `${rule.window} days`;
  return rule.window >= 1 ? signal.help.replaceAll("N days", days) : signal.help;
}

export function Condition(props) {
  const { context, path, rule } = props;
  const signal = signalOf(rule);
  const count = context.counts[pathText(path)];
  return (
    <div className="condition">
      <Rule {...props} />
      {signal && <p className="definition">{definition(signal, rule)}</p>}
      {count && <p className="definition">{count}</p>}
      <Faults context={context} path={path} />
    </div>
  );
}

// What is typed stays as typed ("7."), while the rule holds its number.
function TypedInput({ value, onChange, read, show, ...rest }) {
  const [text, setText] = useState(show(value));
  useEffect(() => {
    if (read(text) !== value) setText(show(value));
  }, [value]);
  const typed = (event) => {
    setText(event.target.value);
    onChange(read(event.target.value));
  };
  return <input type="text" value={text} onChange={typed} autoComplete="off" {...rest} />;
}

function WindowEditor(props) {
  const { rule, path, context, disabled } = props;
  const signal = signalOf(rule);
  const set = (value) => context.set(path, "window", value);
  const isLimited = signal.window === "required" || rule.window !== undefined;
  const words = "in the last";
  return (
    <span className="window">
      {signal.window === "optional" ? (
        <select
          aria-label="Period" disabled={disabled} value={isLimited ? "days" : "all"}
          onChange={(event) => set(event.target.value === "all" ? undefined : 7)}
        >
          <option value="all">so far</option>
          <option value="days">{words}</option>
        </select>
      ) : words}
      {isLimited && (
        <>
          <TypedInput
            className="short" inputMode="numeric" aria-label="Number of days" disabled={disabled}
            value={rule.window} read={readNumber} show={showNumber} onChange={set}
            {...faulty(props, "window")}
          />
          {rule.window === 1 ? "day" : "days"}
        </>
      )}
    </span>
  );
}

// A title alone is no label for everybody.
export function Select(props) {
  const { onChange, val } = useValueSelector(props);
  return (
    <select
      aria-label={props.title} className={props.className} disabled={props.disabled} value={val}
      onChange={(event) => onChange(event.target.value)} {...faulty(props, props.faultKey)}
    >
      {toOptions(props.options)}
    </select>
  );
}

function Argument({ argument, props }) {
  const { rule, path, context, disabled } = props;
  const { name, label, offers } = argument;
  return (
    <input
      type="text" aria-label={label} placeholder={label} disabled={disabled}
      list={offers && `known-${offers}`} value={rule[name] ?? ""}
      onChange={(event) => context.set(path, name, event.target.value)} {...faulty(props, name)}
    />
  );
}

// Without filters all events count, so they are out of the way until somebody wants them.
function Filters({ filters, props }) {
  const isUsed = filters.some((each) => props.rule[each.name]);
  const [isOpen, setIsOpen] = useState(isUsed);
  if (!filters.length) return null;
  return (
    <details className="filters" open={isOpen || isUsed} onToggle={(event) => setIsOpen(event.currentTarget.open)}>
      <summary>Only some of them</summary>
      {filters.map((each) => <Argument key={each.name} argument={each} props={props} />)}
    </details>
  );
}

export function SignalSelector(props) {
  const signal = signalOf(props.rule);
  return (
    <>
      <Select {...props} faultKey="field" />
      {signal?.args.filter((each) => each.required).map((each) => <Argument key={each.name} argument={each} props={props} />)}
      {signal && signal.window !== "none" && <WindowEditor {...props} />}
      <Filters filters={(signal?.args ?? []).filter((each) => !each.required)} props={props} />
    </>
  );
}

function kindOf(rule) {
  const signal = signalOf(rule);
  if (signal?.kind === "rate") return { read: (text) => readNumber(text, { percent: true }), show: (value) => showNumber(value, { percent: true }), numeric: true };
  const isNumber = signal?.kind !== "trait" || operatorOf(rule)?.numbersOnly || typeof rule.value === "number";
  return isNumber
    ? { read: (text) => readNumber(text), show: (value) => showNumber(value), numeric: true }
    : { read: (text) => text, show: (value) => String(value ?? ""), numeric: false };
}

function OneValue({ props, value, onChange, title }) {
  const { read, show, numeric } = kindOf(props.rule);
  return (
    <TypedInput
      className={numeric ? "short" : undefined} inputMode={numeric ? "decimal" : "text"}
      aria-label={title} disabled={props.disabled} value={value} read={read} show={show}
      onChange={onChange} {...faulty(props, "value")}
    />
  );
}

// A line each, because a text may contain a comma.
function ManyValues({ props, value, onChange }) {
  const list = Array.isArray(value) ? value : [];
  const areNumbers = list.length > 0 && list.every((each) => typeof each === "number");
  const [text, setText] = useState(list.join("\n"));
  const typed = (event) => {
    setText(event.target.value);
    const lines = event.target.value.split("\n").filter((line) => line.trim());
    onChange(areNumbers ? lines.map((line) => readNumber(line)) : lines.map((line) => line.trim()));
  };
  return (
    <textarea
      rows={3} aria-label="Texts, one a line" placeholder="one a line" disabled={props.disabled}
      value={text} onChange={typed} {...faulty(props, "value")}
    />
  );
}

export function ValueEditor(props) {
  const { rule, value, handleOnChange } = props;
  const takes = operatorOf(rule)?.takes ?? "one";
  const unit = signalOf(rule)?.unit;
  if (takes === "nothing") return null;
  if (takes === "many") return <ManyValues props={props} value={value} onChange={handleOnChange} />;
  const pair = Array.isArray(value) ? value : [value, ""];
  return (
    <span className="values">
      {takes === "two" ? (
        <>
          <OneValue
            props={props} title="Lowest value" value={pair[0]}
            onChange={(low) => handleOnChange([low, pair[1]])}
          />
          and
          <OneValue
            props={props} title="Highest value" value={pair[1]}
            onChange={(high) => handleOnChange([pair[0], high])}
          />
        </>
      ) : <OneValue props={props} title="Value" value={value} onChange={handleOnChange} />}
      {unit}
    </span>
  );
}
