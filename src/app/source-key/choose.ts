import { KeyferryError } from "../../core/base/error.js"
import { chooseAlgorithm, type Choice } from "../../core/key/negotiation.js"
import type { WrapCapability, WrapRequest } from "../../core/key/wrapping.js"
import type { Token } from "../../core/ports/token.js"

/** Takes the best of the candidates that the token's self-test proves; nothing beyond it is tested. */
export async function chooseTested(
  token: Pick<Token, "selfTest">,
  candidates: readonly WrapRequest[],
): Promise<Choice> {
  return await chooseAlgorithm(candidates, async (candidate): Promise<WrapCapability> => {
    const [verdict] = await token.selfTest([candidate])
    if (verdict === undefined) throw new KeyferryError("ERR_BUG", "the self-test gave no verdict")
    return verdict
  })
}
