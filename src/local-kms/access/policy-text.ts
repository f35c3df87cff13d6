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

/** The same, without a variable such as `${aws:username}`: what that would stand for is not evaluated. @throws PolicyError */
export function literalsOf(json: unknown, place: string): readonly string[] {
  const texts = textsOf(json, place)
  const variable = texts.find((text) => text.includes("${"))
  if (variable === undefined) return texts
  throw new PolicyError(`the local KMS evaluates no policy variables: ${place} ${variable}`)
}
