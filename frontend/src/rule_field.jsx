// Rules in a form of the admin: conditions above each text area, which stays reachable as JSON.
import { useEffect, useMemo, useState } from "react";
import { createRoot } from "react-dom/client";
import { makeCounter } from "./count.js";
import { RuleEditor, emptyRule } from "./editor.jsx";
import { plain, setSignals } from "./shape.js";

const NOTHING = { faults: [], counts: {} };
const data = JSON.parse(document.getElementById("builder-data").textContent);

// What the server needs of the form: this rule, and the segment in whose courses it is counted.
function typedIn(area) {
  const body = new FormData();
  const fields = area.form.elements;
  body.set("csrfmiddlewaretoken", fields.namedItem("csrfmiddlewaretoken").value);
  body.set("rule", area.value);
  body.set("beside", fields.namedItem("segment")?.value ?? "");
  return body;
}

function Field({ area }) {
  const [hasRule, setHasRule] = useState(area.value.trim() !== "");
  const [answer, setAnswer] = useState(NOTHING);
  const [said, setSaid] = useState("");
  const counter = useMemo(() => makeCounter({
    form: area.form,
    body: () => typedIn(area),
    url: data.url,
    onAnswer: (found) => {
      setAnswer({ faults: found.faults.rule, counts: found.counts.rule });
      setSaid([found.sentences.rule, found.said].filter(Boolean).join(" "));
    },
    onFailure: setSaid,
  }), []);

  useEffect(() => {
    if (hasRule) counter.now();
    // While there is no builder, the text area is watched here.
    area.addEventListener("input", () => setHasRule(area.value.trim() !== ""));
  }, []);

  const choose = (wanted) => {
    area.value = wanted ? JSON.stringify(plain(emptyRule()), null, 2) : "";
    setHasRule(wanted);
    if (wanted) counter.now();
    else setSaid("");
  };
  if (!hasRule) {
    return <button type="button" onClick={() => choose(true)}>{area.dataset.rule}</button>;
  }
  return (
    <>
      <div data-editor={area.name}>
        <RuleEditor area={area} answer={answer} groups={data.signals} isReadOnly={false} onChange={counter.later} />
      </div>
      <p className="said" role="status">{said}</p>
      <button type="button" onClick={() => choose(false)}>Remove these conditions</button>
    </>
  );
}

function mount(area) {
  // The row that is copied for each new row of a table stays as it is.
  if (area.name.includes("__prefix__") || area.closest(".rule-json")) return;
  const root = document.createElement("div");
  root.className = "rule-field";
  const json = document.createElement("details");
  json.className = "rule-json";
  json.append(Object.assign(document.createElement("summary"), { textContent: "As JSON" }));
  area.before(root, json);
  json.append(area);
  createRoot(root).render(<Field area={area} />);
}

function mountIn(part) {
  part.querySelectorAll("textarea[data-rule]").forEach(mount);
}

setSignals(data.signals);
mountIn(document);
document.addEventListener("formset:added", (event) => mountIn(event.target));
