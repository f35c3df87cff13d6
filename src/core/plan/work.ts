import type { Action } from "./reason.js"

/** Kinds of work, by the words that `--only` and the agent's `allow` take, and the actions that each stands for. */
export const WORK = {
  provision: ["provision", "replicate"],
  rewrap: ["rewrap"],
  rotate: ["rotate", "finish-rotation", "finish-replacement"],
  correct: ["correct"],
} as const satisfies Readonly<Record<string, readonly Action[]>>

export type Work = keyof typeof WORK

export const WORK_NAMES = Object.keys(WORK) as readonly Work[]

export const isWork = (word: string): word is Work => Object.hasOwn(WORK, word)

export function actionsOfWork(kinds: readonly Work[]): ReadonlySet<Action> {
  return new Set(kinds.flatMap((kind): readonly Action[] => WORK[kind]))
}
