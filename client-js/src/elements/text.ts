// Values as text for people: compact, bounded, and numbers in a format. Pure.

const LONGEST = 2_000;
const SHOWN_ELEMENTS = 3;

/** Text as it is, anything else as compact JSON; typed arrays are abbreviated, long results are cut. */
export function compact(value: unknown): string {
  if (typeof value === "string") return value;
  const parts: string[] = [];
  write(value, parts, { left: LONGEST });
  return parts.join("");
}

function write(value: unknown, parts: string[], room: { left: number }): void {
  if (room.left < 0) return;
  const put = (text: string) => {
    if (room.left >= 0) parts.push(text.length > room.left ? `${text.slice(0, room.left)}…` : text);
    room.left -= text.length;
  };
  if (typeof value === "string") put(JSON.stringify(value));
  else if (value instanceof Date) put(isoText(value));
  else if (ArrayBuffer.isView(value)) put(abbreviated(value));
  else if (Array.isArray(value)) {
    put("[");
    for (const [index, item] of value.entries()) {
      if (room.left < 0) return;
      if (index > 0) put(",");
      write(item, parts, room);
    }
    put("]");
  } else if (typeof value === "object" && value !== null) {
    put("{");
    for (const [index, [key, item]] of Object.entries(value).entries()) {
      if (room.left < 0) return;
      put(`${index > 0 ? "," : ""}${JSON.stringify(key)}:`);
      write(item, parts, room);
    }
    put("}");
  } else put(String(value));
}

function isoText(date: Date): string {
  return Number.isNaN(date.getTime()) ? "Invalid Date" : date.toISOString();
}

function abbreviated(view: ArrayBufferView): string {
  const array = view as ArrayBufferView & ArrayLike<unknown> & { shape?: readonly number[] };
  const size = array.shape?.join("×") ?? array.length;
  const first = Array.prototype.slice.call(array, 0, SHOWN_ELEMENTS).join(",");
  return `${view.constructor.name}(${size}) [${first}${array.length > SHOWN_ELEMENTS ? ",…" : ""}]`;
}

/** Formats a number as Python would: `.3f`, `d`, `.1%`, `.2e`, each with `,` before it for groups of digits. */
export function formatted(value: unknown, format: string | undefined): string {
  if (value === undefined) return "";
  const spec = /^(,?)(?:\.(\d{1,2}))?([fde%])$/.exec(format ?? "");
  if (!spec || (typeof value !== "number" && typeof value !== "bigint")) return compact(value);
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  const [, grouped, digits, kind] = spec;
  const text = fixed(value, kind ?? "", digits === undefined ? undefined : Number(digits));
  return grouped ? text.replace(/^(-?\d+)/, (whole) => whole.replace(/\B(?=(\d{3})+$)/g, ",")) : text;
}

function fixed(value: number | bigint, kind: string, digits: number | undefined): string {
  if (kind === "d") return typeof value === "bigint" ? String(value) : String(Math.round(value));
  if (kind === "%") return `${(Number(value) * 100).toFixed(digits ?? 0)}%`;
  if (kind === "e") return Number(value).toExponential(digits ?? 6);
  return Number(value).toFixed(digits ?? 6);
}
