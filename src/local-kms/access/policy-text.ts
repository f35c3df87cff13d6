/** A policy that says what the local KMS does not evaluate, or that is none. */
export class PolicyError extends Error {
  override readonly name = "PolicyError"
}

/** What stands in a policy as one text or as a list of them; numbers and booleans count as texts. @throws PolicyError */
export function textsOf(json: unknown, place: string): readonly string[] {
  const texts = [json]
    .flat()
    .map((text: unknown) => (typeof text === "boolean" || typeof text === "number" ? String(text) : text))
  if (texts.every((text) => typeof text === "string") && texts.length > 0) return texts
  throw new PolicyError(`${place} is a text, or a list of texts`)
}
