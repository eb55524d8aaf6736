// The form of a verb: fields that are native controls, their values, and what was wrong with them.

import { upload } from "./api.js";
import { button, make, tell } from "./dom.js";
import { FIELDS, VERBS, asked, valueOf } from "./verbs.js";

/** A form in `place`. changed: called after each change. regionPanel: what stands for `region`. */
export function makeForm(place, more, { changed, regionPanel, models }) {
  const form = { verb: "predict", values: {}, base: null };
  let inputs = {};

  function set(name, value) {
    form.values[name] = value;
    mark(name);
    changed(name);
  }

  function mark(name) {
    const row = inputs[name]?.row;
    if (!row || !form.base) return;
    const before = form.base[name] ?? valueOf(form.verb, name);
    const isOther = String(form.values[name]) !== String(before);
    row.classList.toggle("changed", isOther);
    row.querySelector(".was")?.remove();
    if (isOther && !["file", "region", "many"].includes(FIELDS[name].kind)) row.append(make("p", { class: "was" }, `was ${before === "" || before === undefined ? "not set" : before}`));
  }

  /** The fields of that verb; values that it shares with the one before stay. */
  function show(verb, values = {}, base = null) {
    form.verb = verb;
    form.base = base;
    inputs = {};
    const kept = base ? {} : form.values;
    form.values = {};
    for (const [names, into] of [[VERBS[verb].fields, place], [VERBS[verb].more, more]]) {
      into.replaceChildren();
      for (const name of names) {
        form.values[name] = values[name] ?? (["region", "file"].includes(FIELDS[name].kind) ? undefined : ["seed", "quality", "model"].includes(name) ? kept[name] : undefined) ?? valueOf(verb, name);
        const row = rowOf(name);
        into.append(row);
        mark(name);
      }
    }
  }

  function rowOf(name) {
    const field = FIELDS[name];
    const id = `f-${name}`;
    const hint = field.hint ? make("p", { class: "hint", id: `${id}-hint` }, field.hint) : null;
    const wrong = make("p", { class: "wrong", id: `${id}-wrong`, hidden: true });
    const about = { id, name, "aria-describedby": `${hint ? `${id}-hint ` : ""}${id}-wrong` };
    const row = make("div", { class: `field ${field.kind}` }, BUILT[field.kind](field, about, name), hint, wrong);
    inputs[name] = { row, wrong, input: row.querySelector("input, select") };
    return row;
  }

  const labelled = (field, about, control) => [make("label", { for: about.id }, field.label), control];
  const typed = (kind) => (field, about, name) => labelled(field, about, make("input", {
    ...about, type: kind, min: field.min, max: field.max, step: field.step, pattern: field.pattern, placeholder: field.placeholder,
    value: form.values[name] ?? "", inputmode: kind === "number" ? "decimal" : null, autocomplete: "off",
    oninput: (event) => set(name, event.target.value),
  }));
  const selected = (field, about, name, options) => {
    const control = make("select", { ...about, onchange: (event) => set(name, event.target.value) },
      options.map(([value, text]) => make("option", { value, selected: String(form.values[name]) === value }, text)));
    if (!options.some(([value]) => value === String(form.values[name])) && options.length) control.value = options[0][0];
    form.values[name] = control.value;
    return labelled(field, about, control);
  };
  const BUILT = {
    number: typed("number"),
    text: typed("text"),
    known: (field, about, name) => {
      const made = typed("text")(field, about, name);
      made[1].setAttribute("placeholder", "all");
      return made;
    },
    select: (field, about, name) => selected(field, about, name, field.options),
    pair: (field, about, name) => selected(field, about, name, field.options),
    model: (field, about, name) => selected(field, about, name, models(form.verb).map((one) => [one, one])),
    share: (field, about, name) => {
      const told = make("output", { for: about.id }, Math.round(form.values[name] * 100), " %");
      const control = make("input", {
        ...about, type: "range", min: 0, max: 1, step: 0.05, value: form.values[name],
        oninput: (event) => { told.textContent = `${Math.round(event.target.value * 100)} %`; set(name, Number(event.target.value)); },
      });
      return [make("div", { class: "row apart" }, make("label", { for: about.id }, field.label), told), control];
    },
    check: (field, about, name) => make("label", { class: "tick" },
      make("input", { ...about, type: "checkbox", checked: form.values[name], onchange: (event) => set(name, event.target.checked) }), field.label),
    many: (field, about, name) => make("fieldset", {}, make("legend", {}, field.label), field.options.map(([value, text]) => make("label", { class: "tick" },
      make("input", { type: "checkbox", value, checked: form.values[name].includes(value), onchange: (event) => {
        set(name, event.target.checked ? [...form.values[name], value] : form.values[name].filter((one) => one !== value));
      } }), text))),
    file: (field, about, name) => fileField(field, about, name),
    region: () => regionPanel,
  };

  function fileField(field, about, name) {
    const told = make("span", { class: "quiet" }, form.values[name]?.name || "");
    const forget = button("Leave out", () => { set(name, undefined); told.textContent = ""; forget.hidden = true; }, { hidden: !form.values[name], class: "small" });
    const control = make("input", { ...about, type: "file", accept: "video/*,image/*", onchange: async (event) => {
      const file = event.target.files[0];
      if (!file) return;
      told.textContent = "Uploading …";
      try {
        set(name, { ...(await upload(file)), name: file.name });
        told.textContent = file.name;
        forget.hidden = false;
      } catch (error) {
        told.textContent = "";
        tell(error.message, true);
      }
      control.value = "";
    } });
    return [make("label", { for: about.id }, field.label), control, make("div", { class: "row" }, told, forget)];
  }

  /** What was refused, beside its field; false where there is no such field here. */
  function wrong(param, message) {
    for (const [name, { wrong: place, input }] of Object.entries(inputs)) {
      const isIt = param !== null && (name === param || (name === "region" && param === "mask") || (name === "frames_made" && ["fps", "slower"].includes(param)));
      place.hidden = !isIt;
      place.textContent = isIt ? message : "";
      if (isIt) input?.setAttribute("aria-invalid", "true");
      else input?.removeAttribute("aria-invalid");
    }
    return Object.values(inputs).some(({ wrong: place }) => !place.hidden);
  }

  function put(name, value) {
    form.values[name] = value;
    const input = inputs[name]?.input;
    if (input && ["known", "model"].includes(FIELDS[name].kind)) input.value = value;
    mark(name);
  }

  return { form, show, wrong, put, set, asked: () => asked(form.verb, form.values) };
}
