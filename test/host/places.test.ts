import { expect } from "chai"
import type { Kms } from "#src/core/ports/kms.js"
import { Places } from "#src/host/places.js"

import { awsEnvironment, openAt } from "#test/support/aws-environment.js"
import { KEY_ARN, serveIdentities } from "#test/support/identity-server.js"
import { startLocalKms } from "#test/support/local-kms.js"

describe("the places of a run", () => {
  awsEnvironment()

  it("are each once, with the account as soon as an answer has shown it, in results and rows", async () => {
    await using server = await serveIdentities()
    const open = async (): Promise<Kms & Disposable> => (await openAt({ endpoint: server.url })).kms
    using first = await open()
    using second = await open()
    const places = new Places()
    places.add("prod", first)
    places.add("prod", second)
    expect(places.all()).to.have.length(1)
    expect(places.of("prod")?.account).to.equal(null)
    await second.describeKey(KEY_ARN)
    const row = { account: "111122223333", partition: "aws", region: "us-east-1", endpoint: server.url }
    const place = { target: "prod", ...row, endpointOrigin: "--endpoint-url" }
    expect(places.all()).to.deep.equal([place])
    const result = places.inResult({ keys: [{ target: "prod", keyArn: KEY_ARN }, { target: "other" }] })
    expect(result).to.deep.equal({
      keys: [{ ...row, target: "prod", keyArn: KEY_ARN }, { target: "other" }],
      kms: [place],
    })
  })

  it("have the account from STS where KMS has answered without showing one, and is asked where it has answered alone", async () => {
    const server = await startLocalKms()
    after(() => server.stop())
    const { kms: opened, calls } = await openAt(server)
    using kms = opened
    let hasAnswered = false
    const places = new Places()
    places.add("prod", kms, () => hasAnswered)
    await places.learnAccounts()
    expect([places.of("prod")?.account, calls.length]).to.deep.equal([null, 0])
    hasAnswered = true
    await places.learnAccounts()
    await places.learnAccounts()
    expect(places.of("prod")?.account).to.equal("111122223333")
    expect(calls.map(({ operation }) => operation)).to.deep.equal(["sts:GetCallerIdentity"])
  })

  it("say nothing of a run that asked no KMS", () => {
    expect(new Places().inResult({ keys: [] })).to.deep.equal({ keys: [] })
  })
})
