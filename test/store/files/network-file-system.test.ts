import { statSync } from "node:fs"
import { tmpdir } from "node:os"
import { expect } from "chai"
import {
  localLockOption,
  networkFileSystem,
  parseMount,
  refuseLocalLocks,
} from "#src/store/files/network-file-system.js"

const MOUNTINFO = [
  "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw",
  "40 22 0:45 / /var/lib/keyferry rw,relatime shared:9 - nfs4 nas:/keys rw,vers=4.2,hard,local_lock=none",
  "41 22 0:46 / /mnt/old rw - nfs nas:/old rw,vers=3,nolock,local_lock=all",
  "42 22 0:47 / /mnt/half rw - nfs nas:/half rw,vers=3,local_lock=flock",
  "43 22 0:48 / /mnt/share rw - cifs //nas/share rw,vers=3.1.1,nobrl",
  "44 22 0:49 / /mnt/posix rw - nfs nas:/posix rw,vers=3,local_lock=posix",
].join("\n")

describe("file systems that several hosts share", () => {
  const cases: [device: string, type: string, option: string | undefined][] = [
    ["8:1", "ext4", undefined],
    ["0:45", "nfs4", undefined],
    ["0:46", "nfs", "nolock"],
    ["0:47", "nfs", "local_lock=flock"],
    ["0:48", "cifs", "nobrl"],
    ["0:49", "nfs", undefined],
  ]
  for (const [device, type, option] of cases) {
    it(`finds ${option ?? "no locks that stay on this host"} in the mount of ${type} ${device}`, () => {
      const mount = parseMount(MOUNTINFO, device)
      expect(mount?.type).to.equal(type)
      expect(mount === null ? null : localLockOption(mount)).to.equal(option)
    })
  }

  it("knows nothing of a device that is not mounted", () => {
    expect(parseMount(MOUNTINFO, "9:9")).to.equal(null)
  })

  it("takes a folder of this host for one", () => {
    expect(statSync(tmpdir()).isDirectory()).to.equal(true)
    expect(networkFileSystem(tmpdir())).to.equal(null)
    refuseLocalLocks(tmpdir())
  })
})
