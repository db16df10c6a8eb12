// Compiles formats/ncz1.ksy and reads every golden archive with the result: all bytes must fit the description.
// Kaitai's compiler is not part of the test environment; to run it:
//   npm install --prefix out kaitai-struct-compiler kaitai-struct yaml
//   NODE_PATH=out/node_modules node tests/golden/check_ksy.cjs
const fs = require("fs");
const path = require("path");
const compiler = require("kaitai-struct-compiler");
const KaitaiStream = require("kaitai-struct/KaitaiStream");
const yaml = require("yaml");

const formats = path.join(__dirname, "..", "..", "formats");

function count(archive) {
  const blocks = archive.frames.map((frame) => {
    if (frame.form !== 15) return 1;
    const { trailer, blocks } = frame.body;
    const sizes = trailer.index.map((entry) => entry.rawSize.value);
    const claimed = blocks.slice(0, -1).map((block) => block.body.rawSize.value);
    if (sizes.join() !== claimed.join()) throw new Error("index and blocks differ");
    return claimed.length;
  });
  return `${blocks.length} frames, ${blocks.reduce((a, b) => a + b, 0)} blocks`;
}

const METHODS = 3; // tag of the method table
const LANGUAGE = 3, WRAPPERS = [6, 8]; // method numbers

// What language blocks are decoded with: in a solo frame's packed bytes, or in a full frame's method table.
function configurations(frame) {
  if (frame.form === 8) return [frame.body.configuration];
  const table = frame.body.fields?.field.find((field) => field.tag.value === METHODS).value.methods;
  const methods = frame.form === 9 ? [frame.body.method] : table || [];
  const innermost = methods.map((method) => (WRAPPERS.includes(method.number) ? method.configuration : method));
  return innermost.filter((method) => method.number === LANGUAGE).map((method) => method.configuration);
}

function checkLanguage(archive, models) {
  for (const { version, level, tableBits, windowBits, model } of archive.frames.flatMap(configurations)) {
    const known = version === 1 && level >= 7 && level <= 9 && tableBits <= 26 && windowBits <= 13;
    const id = Buffer.from(model).toString("hex");
    if (!known || !models.some((name) => name.endsWith(`-${id}.ncm`))) throw new Error("a configuration is wrong");
  }
}

async function main() {
  const description = yaml.parse(fs.readFileSync(path.join(formats, "ncz1.ksy"), "utf8"));
  const files = await compiler.compile("javascript", description, null, false);
  const module_ = { exports: {} };
  const load = (name) => (name.includes("KaitaiStream") ? KaitaiStream : require(name));
  new Function("module", "exports", "require", files["Ncz1.js"])(module_, module_.exports, load);
  const Ncz1 = module_.exports.Ncz1 || module_.exports;
  const vectors = path.join(formats, "vectors");
  for (const release of fs.readdirSync(vectors)) {
    const folder = path.join(vectors, release);
    if (!fs.statSync(folder).isDirectory()) continue;
    for (const name of fs.readdirSync(folder).filter((file) => file.endsWith(".ncz"))) {
      const archive = new Ncz1(new KaitaiStream(fs.readFileSync(path.join(folder, name))));
      checkLanguage(archive, fs.readdirSync(path.join(folder, "models")));
      console.log(`${release}/${name}: ${count(archive)}`);
    }
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
