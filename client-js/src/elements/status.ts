// The status of the connection, shown only while there is something to say.

import type { SessionNews } from "../attachment.ts";
import type { Status } from "../connection.ts";
import type { Clock } from "../environment.ts";
import { oncePerFrame } from "./frame.ts";
import { whenReady } from "./resolve.ts";

const UNKNOWN_ANALYSIS = 4004;
const QUIET = 400;
const SHORT_WAIT = 1_000;
const NEWS_FOR = 8_000;
const NEW_SESSION = "The analysis was restarted: this is a new session.";

export class StatusLine {
  readonly #name: string;
  readonly #clock: Clock;
  readonly #retry: () => void;
  readonly #line = document.createElement("p");
  #callOff: () => void = () => {};
  #callOffReady: () => void = () => {};
  /** What is to be seen, if anything. */
  #content: readonly (string | Node)[] | null = null;
  readonly #draw = oncePerFrame(() => this.#update());

  constructor(name: string, clock: Clock, retry: () => void) {
    this.#name = name;
    this.#clock = clock;
    this.#retry = retry;
  }

  show(status: Status): void {
    this.#callOff();
    switch (status.state) {
      case "connecting":
        this.#callOff = this.#clock.after(QUIET, () => this.#say("Connecting…"));
        return;
      case "open":
        this.#hide();
        return;
      case "waiting":
        this.#wait(status.text, status.until);
        return;
      case "closed":
        this.#say(status.code === UNKNOWN_ANALYSIS ? `No analysis "${this.#name}" here.` : status.text);
    }
  }

  attached({ renewed, reason }: SessionNews): void {
    if (!renewed) return;
    this.#say(reason ? `The session is over: ${reason.replace(/\.$/, "")}. This is a new one.` : NEW_SESSION);
    this.#callOff = this.#clock.after(NEWS_FOR, () => this.#hide());
  }

  remove(): void {
    this.#callOff();
    this.#hide();
    this.#update();
  }

  /** A wait too short to read about is not shown. */
  #wait(text: string, until: number): void {
    const left = until - this.#clock.now();
    if (left < SHORT_WAIT && this.#content === null) return;
    const seconds = document.createElement("span");
    seconds.setAttribute("aria-hidden", "true");
    const now = document.createElement("button");
    now.type = "button";
    now.textContent = "now";
    now.addEventListener("click", this.#retry);
    this.#say(`${text} Trying again`, seconds, ". ", now);
    const count = () => {
      const remaining = Math.max(1, Math.ceil((until - this.#clock.now()) / 1_000));
      seconds.textContent = ` in ${remaining} s`;
      this.#callOff = this.#clock.after(1_000, count);
    };
    count();
  }

  #say(...content: (string | Node)[]): void {
    this.#content = content;
    this.#draw();
  }

  #hide(): void {
    this.#content = null;
    this.#draw();
  }

  #update(): void {
    this.#callOffReady();
    if (this.#content === null) {
      this.#line.remove();
      return;
    }
    this.#line.replaceChildren(...this.#content);
    this.#callOffReady = whenReady(() => container().append(this.#line));
  }
}

/** The page's own place for the status, or one that is made; several connections share it. */
function container(): Element {
  const place = document.querySelector("[data-databench-status], .databench-status");
  if (place) {
    place.setAttribute("role", "status");
    place.setAttribute("aria-live", "polite");
    return place;
  }
  const made = document.createElement("div");
  made.className = "databench-status";
  made.setAttribute("role", "status");
  made.setAttribute("aria-live", "polite");
  document.body.append(made);
  return made;
}
