// The page of a rule: two builders, the live count, and a warning before changes are lost.
import { useEffect, useMemo, useState } from "react";
import { createPortal } from "react-dom";
import { createRoot } from "react-dom/client";
import { TOO_LONG, isTooLong, makeCounter } from "./count.js";
import { RuleEditor, emptyRule } from "./editor.jsx";
import { plain, setSignals } from "./shape.js";

const NOTHING = { faults: { rule: [], leave_rule: [] }, counts: { rule: {}, leave_rule: {} } };

function answerFor(answer, name) {
  return { faults: answer.faults[name], counts: answer.counts[name] };
}

function App({ data, form, areas }) {
  const [answer, setAnswer] = useState(NOTHING);
  const [hasLeaveRule, setHasLeaveRule] = useState(areas.leave_rule.value.trim() !== "");
  const counter = useMemo(() => makeCounter({
    form,
    url: data.url,
    onAnswer: (found) => {
      setAnswer(found);
      offerCourses(form, found.courses);
      say(found.said, found.html);
    },
    onFailure: (sentence) => say(sentence),
  }), []);

  useEffect(() => {
    counter.now();
    // While there is no builder for it, the text area of the leave rule is watched here.
    areas.leave_rule.addEventListener("input", () => {
      setHasLeaveRule(areas.leave_rule.value.trim() !== "");
      changed();
    });
    for (const name of ["course", "playbook"]) {
      form.elements.namedItem(name)?.addEventListener("change", counter.now);
    }
  }, []);

  const changed = () => {
    form.dataset.changed = "yes";
    counter.later();
  };
  const chooseLeaveRule = (wanted) => {
    areas.leave_rule.value = wanted ? JSON.stringify(plain(emptyRule()), null, 2) : "";
    setHasLeaveRule(wanted);
    changed();
  };
  const editor = (name) => (
    <RuleEditor
      area={areas[name]} answer={answerFor(answer, name)} groups={data.signals}
      isReadOnly={data.is_read_only} onChange={changed}
    />
  );
  return (
    <>
      {createPortal(editor("rule"), place("rule"))}
      {createPortal(
        <>
          <LeaveChoice value={hasLeaveRule} onChange={chooseLeaveRule} disabled={data.is_read_only} />
          {hasLeaveRule && editor("leave_rule")}
        </>,
        place("leave_rule"),
      )}
    </>
  );
}

function LeaveChoice({ value, onChange, disabled }) {
  const choice = (wanted, words) => (
    <label>
      <input
        type="radio" name="leave_choice" checked={value === wanted} disabled={disabled}
        onChange={() => onChange(wanted)}
      />
      {words}
    </label>
  );
  return (
    <fieldset className="choice">
      <legend>Members leave when</legend>
      {choice(false, "the rule is no longer true")}
      {choice(true, "this other rule is true:")}
    </fieldset>
  );
}

function place(name) {
  return document.querySelector(`[data-editor="${name}"]`);
}

// The sentence is read out. The table below it is not, because it changes with every key.
function say(sentence, html) {
  document.getElementById("count-said").textContent = sentence;
  if (html !== undefined) document.getElementById("count").innerHTML = html;
}

// Another playbook of a new segment is kept for other courses.
function offerCourses(form, courses) {
  const select = form.elements.namedItem("course");
  if (!select || courses.map((each) => each.value).join() === [...select.options].map((each) => each.value).join()) return;
  select.replaceChildren(...courses.map((each) => new Option(each.text, each.value)));
}

function warnBeforeLeaving(form) {
  form.addEventListener("submit", (event) => {
    if (isTooLong(form)) {
      event.preventDefault();
      say(TOO_LONG);
      document.getElementById("count-said").scrollIntoView();
      return;
    }
    delete form.dataset.changed;
  });
  form.addEventListener("input", () => (form.dataset.changed = "yes"));
  window.addEventListener("beforeunload", (event) => {
    if (form.dataset.changed) event.preventDefault();
  });
}

const form = document.getElementById("rule-form");
const data = JSON.parse(document.getElementById("builder-data").textContent);
setSignals(data.signals);
const areas = {
  rule: form.elements.namedItem("rule"),
  leave_rule: form.elements.namedItem("leave_rule"),
};
if (!areas.rule.value.trim()) areas.rule.value = JSON.stringify(plain(emptyRule()), null, 2);
document.body.classList.add("has-builder");
warnBeforeLeaving(form);
createRoot(document.getElementById("builder-root")).render(<App data={data} form={form} areas={areas} />);
