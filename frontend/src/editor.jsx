// One rule in the builder. The text area of the form always holds the same rule as JSON.
import { useEffect, useMemo, useRef, useState } from "react";
import { QueryBuilder, RuleGroup, prepareRuleGroup, update } from "react-querybuilder";
import { Condition, Faults, Select, SignalSelector, ValueEditor } from "./condition.jsx";
import { firstCondition, isShowable, plain, signalOf, tidy, withDefaults } from "./shape.js";

const COMBINATORS = [
  { name: "and", label: "All of these are true" },
  { name: "or", label: "At least one of these is true" },
];
const TRANSLATIONS = {
  addGroup: { label: "Add group", title: "Add a group of conditions" },
  addRule: { label: "Add condition", title: "Add a condition" },
  combinators: { title: "How many of the conditions" },
  fields: { title: "Signal" },
  notToggle: { label: "Not", title: "Turn the group into its opposite" },
  operators: { title: "Comparison" },
  removeGroup: { label: "Remove group", title: "Remove this group" },
  removeRule: { label: "Remove", title: "Remove this condition" },
};

function Group(props) {
  const { combinator, not } = props.ruleGroup;
  const words = COMBINATORS.find((each) => each.name === combinator)?.label ?? combinator;
  return (
    <div role="group" aria-label={not ? `Not: ${words}` : words}>
      <RuleGroup {...props} />
      <Faults context={props.context} path={props.path} />
    </div>
  );
}

const CONTROLS = {
  combinatorSelector: Select,
  fieldSelector: SignalSelector,
  operatorSelector: Select,
  rule: Condition,
  ruleGroup: Group,
  valueEditor: ValueEditor,
};

export function emptyRule() {
  return { combinator: "and", not: false, rules: [firstCondition()] };
}

function read(text) {
  try {
    const data = JSON.parse(text);
    return isShowable(data) ? prepareRuleGroup(data) : null;
  } catch {
    return null;
  }
}

export function RuleEditor({ area, groups, answer, onChange, isReadOnly }) {
  const [query, setQuery] = useState(() => read(area.value));
  const current = useRef(query);
  const focus = useRef(null);
  current.current = query;

  useEffect(() => {
    const typed = () => {
      setQuery(read(area.value));
      onChange();
    };
    area.addEventListener("input", typed);
    return () => area.removeEventListener("input", typed);
  }, []);

  useEffect(() => {
    if (focus.current) document.querySelector(focus.current)?.focus();
    focus.current = null;
  }, [query]);

  const change = (next) => {
    const tidied = tidy(chosen(current.current, next));
    setQuery(tidied);
    area.value = JSON.stringify(plain(tidied), null, 2);
    onChange();
  };
  const context = useMemo(() => ({
    name: area.name,
    faults: answer.faults,
    counts: answer.counts,
    set: (path, name, value) => change(update(current.current, name, value, path)),
  }), [answer]);

  if (query === null) return <Unshown faults={answer.faults} area={area} />;
  return (
    <QueryBuilder
        accessibleDescriptionGenerator={() => undefined}
        addRuleToNewGroups
        combinators={COMBINATORS}
        context={context}
        controlElements={CONTROLS}
        disabled={isReadOnly}
        enableMountQueryChange={false}
        fields={groups}
        getDefaultOperator={(field) => signalOf({ field })?.defaults.operator ?? "="}
        getOperators={(field) => signalOf({ field })?.operators ?? []}
        listsAsArrays
        onAddGroup={(group) => {
          focus.current = `[data-rule-group-id="${group.id}"] .rule select`;
          return { ...group, rules: [{ ...group.rules[0], ...firstCondition() }] };
        }}
        onAddRule={(rule) => {
          focus.current = `[data-rule-id="${rule.id}"] select`;
          return { ...rule, ...firstCondition() };
        }}
        onQueryChange={change}
        onRemove={(part, path) => {
          const parent = JSON.stringify(path.slice(0, -1));
          focus.current = `[data-editor="${area.name}"] [data-path="${parent}"] .ruleGroup-addRule`;
          return true;
        }}
        parseNumbers="strict"
        query={query}
        showNotToggle
        translations={TRANSLATIONS}
      />
  );
}

// Give a condition the usual values of its signal when somebody has chosen another signal.
function chosen(before, after) {
  const fields = new Map();
  const note = (part) => (part.rules ? part.rules.forEach(note) : fields.set(part.id, part.field));
  note(before);
  const renew = (part) => {
    if (part.rules) return { ...part, rules: part.rules.map(renew) };
    const had = fields.get(part.id);
    return had !== undefined && had !== part.field && signalOf(part) ? withDefaults(part) : part;
  };
  return renew(after);
}

function Unshown({ faults, area }) {
  return (
    <div className="card">
      <p>This text is not a rule that can be shown as conditions. Correct it under “The rule as JSON”.</p>
      <FaultList faults={faults} />
      <p className="quiet">{area.value.length.toLocaleString("en")} characters</p>
    </div>
  );
}

function FaultList({ faults }) {
  return (
    <ul className="fault">
      {faults.map((fault) => <li key={fault.place + fault.sentence}>{fault.place ? `${fault.place}: ` : ""}{fault.sentence}</li>)}
    </ul>
  );
}
