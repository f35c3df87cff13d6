interface Installed {
  /** Where the vendor's installation or Debian puts it on Linux. */
  readonly modulePath: string
  /** What the module wants at C_Initialize. */
  readonly libraryParameters?: string
}

/** Where each family's module is found, for a first configuration file; an operator corrects it. */
const INSTALLED: Readonly<Record<string, Installed>> = {
  softhsm2: { modulePath: "/usr/lib/softhsm/libsofthsm2.so" },
  nss: {
    modulePath: "/usr/lib/x86_64-linux-gnu/libsoftokn3.so",
    libraryParameters: "configdir='sql:/var/lib/keyferry/nss' certPrefix='' keyPrefix='' secmod='secmod.db'",
  },
  opencryptoki: { modulePath: "/usr/lib/x86_64-linux-gnu/opencryptoki/libopencryptoki.so" },
  kryoptic: { modulePath: "/usr/lib64/pkcs11/libkryoptic_pkcs11.so" },
  cloudhsm: { modulePath: "/opt/cloudhsm/lib/libcloudhsm_pkcs11.so" },
  luna: { modulePath: "/usr/safenet/lunaclient/lib/libCryptoki2_64.so" },
  nshield: { modulePath: "/opt/nfast/toolkits/pkcs11/libcknfast.so" },
  utimaco: { modulePath: "/usr/lib/utimaco/libcs_pkcs11_R3.so" },
  yubihsm2: { modulePath: "/usr/lib/x86_64-linux-gnu/pkcs11/yubihsm_pkcs11.so" },
  primus: { modulePath: "/usr/local/primus/lib/libprimusP11.so" },
  fortanix: { modulePath: "/opt/fortanix/pkcs11/fortanix_pkcs11.so" },
  tpm2: { modulePath: "/usr/lib/x86_64-linux-gnu/libtpm2_pkcs11.so.1" },
}

/** A family's usual module; one that every installation has elsewhere gets a path to replace. */
export function usualModule(family: string): Installed {
  return (
    (Object.hasOwn(INSTALLED, family) ? INSTALLED[family] : undefined) ?? { modulePath: "/path/to/pkcs11-module.so" }
  )
}
