// What may be asked: each verb, its fields, and where in the given film a moment of the answer is.

const share = (label, value) => ({ label, kind: "share", value });

export const FIELDS = {
  seconds: { label: "Seconds", kind: "number", min: 0.05, max: 3600, step: "any", value: 1 },
  known: { label: "Known frames", kind: "known", hint: "all, unless picked on the timeline" },
  before: { label: "Seconds before the film", kind: "number", min: 0, max: 3600, step: "any", value: "" },
  steps: { label: "Steps", kind: "number", min: 1, max: 1000, step: 1, value: 2, hint: "1 is the mean, 2 or more a sample" },
  seed: { label: "Seed", kind: "number", min: 0, max: 2 ** 53 - 1, step: 1, value: 0, hint: "another one, another sample" },
  quality: { label: "Quality", kind: "select", value: "high", options: [["high", "high"], ["small", "small"], ["exact", "exact"]], hint: "exact keeps every bit, and few browsers play it" },
  model: { label: "Model", kind: "model", value: "kineo-small" },
  denoise: share("Take away noise", 1),
  deflicker: share("Take away flicker", 0),
  colourise: share("Colour a grey film", 0),
  deblur: { label: "Sharpen what is blurred", kind: "check", value: false },
  scale: { label: "Enlarge", kind: "select", value: "1", isNumber: true, options: [["1", "no"], ["2", "2 times"], ["4", "4 times"]] },
  frames_made: {
    label: "Frames between", kind: "pair", value: "fps=60",
    options: [["fps=48", "48 frames a second"], ["fps=50", "50 frames a second"], ["fps=60", "60 frames a second"], ["fps=120", "120 frames a second"], ["slower=2", "slow motion, 2 times"], ["slower=4", "slow motion, 4 times"], ["slower=8", "slow motion, 8 times"]],
  },
  region: { label: "Where", kind: "region" },
  aspect: { label: "Shape", kind: "select", value: "16:9", options: [["16:9", "16 : 9"], ["2.39:1", "2.39 : 1"], ["4:3", "4 : 3"], ["1:1", "1 : 1"], ["9:16", "9 : 16"]] },
  only: { label: "Look for", kind: "many", value: [], options: [["dropped", "dropped frames"], ["frozen", "frozen frames"], ["glitch", "glitches"], ["scratch", "scratches"], ["dust", "dust"]], hint: "all of them, unless some are chosen" },
  strength: share("Strength", 0.35),
  reference: { label: "Take the look of", kind: "file", hint: "a picture or clip; by default the film's own" },
  like: { label: "Take the motion of", kind: "file", hint: "a film" },
  flow_x: { label: "Flow to the right, px a frame", kind: "number", min: -100, max: 100, step: "any", value: "" },
  flow_y: { label: "Flow down, px a frame", kind: "number", min: -100, max: 100, step: "any", value: "" },
  zoom: { label: "Camera goes in, share a frame", kind: "number", min: -0.05, max: 0.05, step: "any", value: "" },
  loop: { label: "The end meets the beginning", kind: "check", value: false },
  variety: { label: "Variety", kind: "number", min: 0.01, max: 10, step: "any", value: 0.08 },
  fps: { label: "Frames a second", kind: "number", min: 1, max: 240, step: "any", value: 24 },
  size: { label: "Size", kind: "text", value: "", placeholder: "as 256x144", pattern: "\\d{1,5}x\\d{1,5}" },
};

const same = (time) => time;

export const VERBS = {
  predict: {
    says: "How it goes on", takes: "film", picks: "one",
    fields: ["seconds", "known", "steps", "seed", "model"], more: ["before", "quality"],
    at: (time, video, film) => time + firstKnown(video) / rateOf(film) - (video.question.before || 0),
  },
  enhance: {
    says: "Cleaner, sharper, larger", takes: "film",
    fields: ["denoise", "deblur", "scale", "deflicker", "colourise", "model"], more: ["quality"], at: same,
  },
  interpolate: {
    says: "More frames, slow motion", takes: "film",
    fields: ["frames_made", "model"], more: ["quality"], at: (time, video) => time / (video.question.slower || 1),
  },
  inpaint: { says: "Take something away", takes: "film", fields: ["region", "model"], more: ["quality"], at: same, needsRegion: true },
  outpaint: { says: "A wider picture", takes: "film", fields: ["aspect", "model"], more: ["quality"], at: same },
  repair: { says: "Mend damaged frames", takes: "film", picks: "many", fields: ["only", "known", "model"], more: ["quality"], at: same },
  transfer: { says: "In another domain", takes: "film", fields: ["model"], more: ["quality"], at: same, by: "map" },
  edit: { says: "Change the look", takes: "film", fields: ["strength", "reference", "region", "seed"], more: ["quality"], at: same },
  animate: {
    says: "Move a picture", takes: "picture",
    fields: ["seconds", "flow_x", "flow_y", "zoom", "region", "loop"], more: ["like", "fps", "quality"],
    values: { seconds: 3, loop: true }, at: () => 0,
  },
  generate: {
    says: "Something new", takes: "nothing",
    fields: ["seconds", "seed", "variety", "loop", "model"], more: ["size", "quality"],
    values: { seconds: 2 }, at: null,
  },
};

export function valueOf(verb, name) {
  return VERBS[verb].values?.[name] ?? FIELDS[name].value;
}

function firstKnown(video) {
  return Number((video.question.known || "0").split(/[-,]/)[0]);
}

function rateOf(film) {
  const [above, below] = String(film.fps).split("/");
  return Number(above) / Number(below || 1);
}

/** Values of the form, as the fields of a request; what is left as it is by default is left out. */
export function asked(verb, values) {
  const found = { task: verb };
  for (const name of [...VERBS[verb].fields, ...VERBS[verb].more]) put(found, name, values[name]);
  if (values.flow_x || values.flow_y) found.flow = [Number(values.flow_x || 0), Number(values.flow_y || 0)];
  if (found.before === 0) delete found.before;
  return found;
}

function put(found, name, value) {
  const field = FIELDS[name];
  if (value === undefined || value === "" || value === null || name.startsWith("flow_")) return;
  if (field.kind === "share") { if (value > 0 || ["strength", "denoise"].includes(name)) found[name] = Number(value); }
  else if (field.kind === "number" || field.isNumber) found[name] = Number(value);
  else if (field.kind === "check") { if (value || name === "loop") found[name] = value; }
  else if (field.kind === "many") { if (value.length) found[name] = value; }
  else if (field.kind === "pair") { const [key, said] = value.split("="); found[key] = key === "slower" ? Number(said) : said; }
  else if (field.kind === "region") Object.assign(found, value);
  else if (field.kind === "file") { if (value.id) found[name] = { file_id: value.id }; }
  else found[name] = value;
}

/** A question that was asked before, as values of the form. */
export function valuesIn(video) {
  const { question, inputs } = video;
  const found = { ...question, model: video.model };
  if (question.fps && video.task === "interpolate") found.frames_made = `fps=${question.fps}`;
  if (question.slower) found.frames_made = `slower=${question.slower}`;
  if (question.scale) found.scale = String(question.scale);
  if (question.flow) [found.flow_x, found.flow_y] = question.flow;
  if (video.task === "enhance" && question.denoise === undefined) found.denoise = 0;
  if (question.region) found.region = { region: question.region };
  if (inputs.mask) found.region = { mask: { file_id: inputs.mask } };
  for (const name of ["reference", "like"]) if (inputs[name]) found[name] = { id: inputs[name], name: "as before" };
  return found;
}

/** A recipe in words. */
export function recipeOf(video) {
  const said = Object.entries(video.question).map(([key, value]) => `${key} ${Array.isArray(value) ? value.join(",") : value}`);
  if (video.inputs.mask) said.push("painted");
  if (video.inputs.reference) said.push("like another");
  return said.length ? said.join(" · ") : "as by default";
}
