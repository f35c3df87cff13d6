import { expect } from "chai"
import { canonicalPolicy } from "#src/core/manifest/policy-form.js"

const ROLE = "arn:aws:iam::111122223333:role/byok"
const WANTED = {
  Version: "2012-10-17",
  Id: "byok",
  Statement: [
    { Sid: "root", Effect: "Allow", Principal: { AWS: ["111122223333"] }, Action: ["kms:*"], Resource: ["*"] },
    {
      Sid: "use",
      Effect: "Allow",
      Principal: { AWS: [ROLE, "444455556666"], Service: ["dynamodb.amazonaws.com"] },
      Action: ["kms:Encrypt", "kms:Decrypt"],
      Resource: "*",
      Condition: { StringEquals: { "kms:CallerAccount": ["111122223333"] }, Bool: { "aws:SecureTransport": true } },
    },
  ],
}
type Policy = typeof WANTED

const form = (policy: object): string => canonicalPolicy(JSON.stringify(policy, null, 2))
/** The second statement with other parts. */
const use = (parts: object): object => ({
  ...WANTED,
  Statement: [WANTED.Statement[0], { ...WANTED.Statement[1], ...parts }],
})

describe("canonical form of a key policy", () => {
  const same: readonly (readonly [what: string, policy: object])[] = [
    [
      "an account number as the ARN of its root",
      use({ Principal: { AWS: [ROLE, "arn:aws:iam::444455556666:root"], Service: ["dynamodb.amazonaws.com"] } }),
    ],
    [
      "the ARN of a root in another partition",
      use({ Principal: { AWS: [ROLE, "arn:aws-cn:iam::444455556666:root"], Service: ["dynamodb.amazonaws.com"] } }),
    ],
    [
      "a list of one as a string",
      {
        ...WANTED,
        Statement: [
          {
            ...WANTED.Statement[0],
            Action: "kms:*",
            Resource: "*",
            Principal: { AWS: "arn:aws:iam::111122223333:root" },
          },
          WANTED.Statement[1],
        ],
      },
    ],
    [
      "principals in another order",
      use({ Principal: { Service: "dynamodb.amazonaws.com", AWS: ["444455556666", ROLE] } }),
    ],
    ["actions in another order, and one twice", use({ Action: ["kms:Decrypt", "kms:Encrypt", "kms:Decrypt"] })],
    ["actions in another case", use({ Action: ["kms:encrypt", "KMS:Decrypt"] })],
    ["statements in another order", { ...WANTED, Statement: [...WANTED.Statement].reverse() }],
    ["keys in another order", Object.fromEntries(Object.entries(WANTED).reverse())],
    [
      "a condition's values as strings",
      use({
        Condition: { Bool: { "aws:securetransport": "true" }, StringEquals: { "kms:CallerAccount": "111122223333" } },
      }),
    ],
  ]
  for (const [what, policy] of same) {
    it(`is the same with ${what}`, () => {
      expect(JSON.stringify(policy)).to.not.equal(JSON.stringify(WANTED))
      expect(form(policy)).to.equal(form(WANTED))
    })
  }

  const others: readonly (readonly [what: string, policy: object])[] = [
    ["another account", use({ Principal: { AWS: [ROLE, "444455556667"], Service: ["dynamodb.amazonaws.com"] } })],
    [
      "a user in the place of the root",
      use({ Principal: { AWS: [ROLE, "arn:aws:iam::444455556666:user/root"], Service: ["dynamodb.amazonaws.com"] } }),
    ],
    [
      "a principal's ID in the place of a role that was deleted",
      use({ Principal: { AWS: ["AROAEXAMPLEID", "444455556666"], Service: ["dynamodb.amazonaws.com"] } }),
    ],
    [
      "a principal as a service",
      use({ Principal: { AWS: [ROLE], Service: ["dynamodb.amazonaws.com", "444455556666"] } }),
    ],
    ["everybody but these", use({ Principal: undefined, NotPrincipal: WANTED.Statement[1]?.Principal })],
    ["one action more", use({ Action: ["kms:Encrypt", "kms:Decrypt", "kms:Sign"] })],
    ["Deny", use({ Effect: "Deny" })],
    [
      "another operator",
      use({
        Condition: { StringLike: { "kms:CallerAccount": ["111122223333"] }, Bool: { "aws:SecureTransport": true } },
      }),
    ],
    [
      "a condition's value in another case",
      use({
        Condition: { StringEquals: { "kms:CallerAccount": ["111122223333"] }, Bool: { "aws:SecureTransport": "True" } },
      }),
    ],
    ["no condition", use({ Condition: undefined })],
    ["another version", { ...WANTED, Version: "2008-10-17" } satisfies Policy],
    ["a statement less", { ...WANTED, Statement: WANTED.Statement.slice(1) }],
  ]
  for (const [what, policy] of others) {
    it(`differs with ${what}`, () => {
      expect(form(policy)).to.not.equal(form(WANTED))
    })
  }

  it("takes everybody for everybody, one statement for a list of it, and no version for the oldest", () => {
    const [statement] = WANTED.Statement
    const everybody = { Version: "2008-10-17", Statement: [{ ...statement, Principal: "*" }] }
    expect(form({ Statement: { ...statement, Principal: { AWS: ["*"] } } })).to.equal(form(everybody))
  })

  it("leaves what is no policy as it is", () => {
    for (const text of ["", "no JSON", "[]", "null", '"a"']) expect(canonicalPolicy(text)).to.equal(text)
  })
})
