// Form fields as values: what a field holds, and how it shows a value. Knows nothing of state or signals.

import { compact } from "./text.ts";

export type Field = HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement;

export const FIELDS = "input, select, textarea";

/** Whether it is set while it is moved, and not only when the user is done. */
export function isLive(field: Field): boolean {
  return field.type === "range";
}

/** A number for number fields and sliders (null where there is none), a boolean for checkboxes, else text. */
export function held(field: Field): unknown {
  if (field instanceof HTMLInputElement) {
    if (field.type === "checkbox") return field.checked;
    if (field.type === "number" || field.type === "range") {
      return Number.isNaN(field.valueAsNumber) ? null : field.valueAsNumber;
    }
  }
  return field.value;
}

export function showValue(field: Field, value: unknown): void {
  const text = value === null ? "" : compact(value);
  if (field instanceof HTMLInputElement && field.type === "checkbox") {
    field.checked = Boolean(value);
  } else if (field instanceof HTMLInputElement && field.type === "radio") {
    field.checked = field.value === text;
  } else if (field.value !== text) {
    // Setting it moves the caret, also where nothing changes.
    field.value = text;
  }
}

/** Returns what shows again what the field shows now. */
export function remembered(field: Field): () => void {
  const { value } = field;
  const checked = field instanceof HTMLInputElement && field.checked;
  return () => {
    if (field instanceof HTMLInputElement) field.checked = checked;
    if (field.value !== value) field.value = value;
  };
}
