import { expect } from "chai"
import type { KeySpec } from "#src/core/key/key-spec.js"
import { wrapCandidates } from "#src/core/key/negotiation.js"
import { keySpecFault, partitionOf, takenIn } from "#src/core/key/partition.js"
import { expectCode } from "#test/support/expect-code.js"

const candidates = (keySpec: KeySpec) => wrapCandidates(keySpec, "RSA_4096", "auto", { minimumHash: "SHA-1" })
const algorithms = (partition: string, keySpec: KeySpec) =>
  takenIn(partition, candidates(keySpec)).map(({ wrappingAlgorithm }) => wrappingAlgorithm)

describe("partitions", () => {
  for (const [region, partition] of [
    ["eu-west-3", "aws"],
    ["cn-northwest-1", "aws-cn"],
    ["us-gov-west-1", "aws-us-gov"],
    ["eusc-de-east-1", "aws-eusc"],
    ["us-isob-east-1", "aws-iso-b"],
    ["us-iso-east-1", "aws-iso"],
  ] as const) {
    it(`has ${region} in ${partition}`, () => {
      expect(partitionOf(region)).to.equal(partition)
    })
  }

  it("takes no RSA_AES_KEY_WRAP in China", () => {
    expect(algorithms("aws-cn", "ECC_NIST_P384")).to.deep.equal(["RSAES_OAEP_SHA_256", "RSAES_OAEP_SHA_1"])
    expect(algorithms("aws", "ECC_NIST_P384")).to.include("RSA_AES_KEY_WRAP_SHA_256")
  })

  it("takes neither RSA keys nor SYMMETRIC_DEFAULT in China, which is SM4 there", async () => {
    await expectCode("ERR_ALGORITHM_NOT_ALLOWED", () => algorithms("aws-cn", "RSA_3072"))
    await expectCode("ERR_KEY_SPEC_UNSUPPORTED", () => algorithms("aws-cn", "SYMMETRIC_DEFAULT"))
    expect(keySpecFault("aws-cn", "SYMMETRIC_DEFAULT")).to.include("SM4")
    expect(keySpecFault("aws-us-gov", "SYMMETRIC_DEFAULT")).to.equal(undefined)
  })
})
