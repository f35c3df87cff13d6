// SPDX-License-Identifier: Apache-2.0
//
// usage: wrap-loop MODULE TOKEN-LABEL PIN-FILE MODULUS-FILE SECONDS [KEYS [keep]]
//
// Makes the PKCS #11 calls that keyferry makes for one symmetric key (generate, read back, OAEP wrap under an RSA public
// key imported for the wrap, destroy), one after the other on one session and one thread, for SECONDS or for KEYS keys.
// With `keep` the keys are token objects that stay, and the calls are those of a provision: one search more, and the
// object's identity asked for again before the wrap. Prints "KEYS SECONDS CPU-SECONDS". same-calls.ts compares the
// recordings of both sides without `keep`, so a call changed on one side shows.
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

// What is used of PKCS #11 v2.40, so that no header has to be installed. CK_ULONG is `unsigned long` (section 2.1).
typedef unsigned long CK_ULONG;
typedef unsigned char CK_BYTE;
typedef struct { CK_ULONG type; void *value; CK_ULONG length; } CK_ATTRIBUTE;
typedef struct { CK_ULONG mechanism; void *parameter; CK_ULONG length; } CK_MECHANISM;
typedef struct { CK_ULONG hash, mgf, source; void *data; CK_ULONG length; } CK_RSA_PKCS_OAEP_PARAMS;
typedef struct { void *create, *destroy, *lock, *unlock; CK_ULONG flags; void *reserved; } CK_C_INITIALIZE_ARGS;
typedef struct { CK_BYTE version[2]; void *calls[68]; } CK_FUNCTION_LIST;

// Places in CK_FUNCTION_LIST, by the order of its members.
enum {
  INITIALIZE = 0, FINALIZE = 1, GET_SLOT_LIST = 4, GET_TOKEN_INFO = 6, OPEN_SESSION = 12, LOGIN = 18,
  CREATE_OBJECT = 20, DESTROY_OBJECT = 22, GET_ATTRIBUTE_VALUE = 24, FIND_OBJECTS_INIT = 26, FIND_OBJECTS = 27,
  FIND_OBJECTS_FINAL = 28, GENERATE_KEY = 58, WRAP_KEY = 60,
};

enum {
  CKA_CLASS = 0x0, CKA_TOKEN = 0x1, CKA_PRIVATE = 0x2, CKA_LABEL = 0x3, CKA_CHECK_VALUE = 0x90, CKA_KEY_TYPE = 0x100,
  CKA_ID = 0x102, CKA_SENSITIVE = 0x103, CKA_ENCRYPT = 0x104, CKA_DECRYPT = 0x105, CKA_WRAP = 0x106,
  CKA_UNWRAP = 0x107, CKA_SIGN = 0x108, CKA_VERIFY = 0x10a, CKA_VERIFY_RECOVER = 0x10b, CKA_DERIVE = 0x10c,
  CKA_MODULUS = 0x120, CKA_PUBLIC_EXPONENT = 0x122, CKA_VALUE_LEN = 0x161, CKA_EXTRACTABLE = 0x162, CKA_LOCAL = 0x163,
  CKA_NEVER_EXTRACTABLE = 0x164, CKA_ALWAYS_SENSITIVE = 0x165, CKA_KEY_GEN_MECHANISM = 0x166, CKA_MODIFIABLE = 0x170,
  CKA_WRAP_WITH_TRUSTED = 0x210,
};

enum { CKM_RSA_PKCS_OAEP = 0x9, CKM_SHA_1 = 0x220, CKM_AES_KEY_GEN = 0x1080, CKG_MGF1_SHA1 = 1, CKZ_DATA_SPECIFIED = 1 };
enum { CKF_OS_LOCKING_OK = 2, CKF_RW_SESSION = 2, CKF_SERIAL_SESSION = 4, CKU_USER = 1 };

static CK_FUNCTION_LIST *list;
static CK_ULONG session;
static int keep;

static void check(const char *call, CK_ULONG rv) {
  if (rv == 0) return;
  fprintf(stderr, "wrap-loop: %s answered 0x%lx\n", call, rv);
  exit(1);
}

#define CALL(place, ...) check(#place, ((CK_ULONG(*)())list->calls[place])(__VA_ARGS__))
#define COUNT(array) (sizeof(array) / sizeof *(array))

static CK_ULONG secret_key = 4, public_key = 2, rsa = 0, aes = 0x1f, key_bytes = 32;
static CK_BYTE yes = 1, no = 0, exponent[] = {1, 0, 1}, modulus[1024];
#define ULONG(type, variable) {type, &(variable), sizeof(CK_ULONG)}
#define BOOL(type, variable) {type, &(variable), 1}

// What is read back of a secret key.
static const CK_ULONG read_back[] = {
  CKA_CLASS, CKA_KEY_TYPE, CKA_TOKEN, CKA_PRIVATE, CKA_SENSITIVE, CKA_EXTRACTABLE, CKA_ALWAYS_SENSITIVE,
  CKA_NEVER_EXTRACTABLE, CKA_LOCAL, CKA_MODIFIABLE, CKA_WRAP_WITH_TRUSTED, CKA_ENCRYPT, CKA_DECRYPT, CKA_SIGN,
  CKA_VERIFY, CKA_WRAP, CKA_UNWRAP, CKA_DERIVE, CKA_KEY_GEN_MECHANISM, CKA_ID, CKA_LABEL, CKA_VALUE_LEN,
  CKA_CHECK_VALUE,
};

static const CK_ULONG identity[] = {CKA_CLASS, CKA_ID, CKA_LABEL};

// All attributes at once: their lengths first, then the values.
static void get_attributes(CK_ULONG object, const CK_ULONG *types, CK_ULONG count) {
  CK_ATTRIBUTE asked[COUNT(read_back)];
  for (CK_ULONG i = 0; i < count; i++) asked[i] = (CK_ATTRIBUTE){types[i], NULL, 0};
  CALL(GET_ATTRIBUTE_VALUE, session, object, asked, count);
  for (CK_ULONG i = 0; i < count; i++) asked[i].value = malloc(asked[i].length);
  CALL(GET_ATTRIBUTE_VALUE, session, object, asked, count);
  for (CK_ULONG i = 0; i < count; i++) free(asked[i].value);
}

// Whether no object has the attribute.
static int is_free(CK_ATTRIBUTE *term) {
  CK_ULONG found[256], count;
  CALL(FIND_OBJECTS_INIT, session, term, (CK_ULONG)1);
  CALL(FIND_OBJECTS, session, found, (CK_ULONG)256, &count);
  CALL(FIND_OBJECTS_FINAL, session);
  return count == 0;
}

static void one_key(unsigned long number, CK_ULONG modulus_length) {
  CK_BYTE id[16] = {0}, wrapped[8192];
  char label[64];
  memcpy(id, &number, sizeof number);
  snprintf(label, sizeof label, "keyferry/bench/%010lx/0", number);
  CK_ATTRIBUTE by_label = {CKA_LABEL, label, strlen(label)}, by_id = {CKA_ID, id, sizeof id};
  CK_ULONG key = 0, wrapping_key = 0, wrapped_length = sizeof wrapped;

  if (keep && !is_free(&by_label)) check("the search for the key", 1);
  if (!is_free(&by_label) || !is_free(&by_id)) check("a search for a free name", 1);
  CK_ATTRIBUTE key_template[] = {
    BOOL(CKA_TOKEN, *(keep ? &yes : &no)), ULONG(CKA_KEY_TYPE, aes), by_id, by_label, ULONG(CKA_CLASS, secret_key),
    BOOL(CKA_PRIVATE, yes), BOOL(CKA_SENSITIVE, yes), BOOL(CKA_EXTRACTABLE, yes), ULONG(CKA_VALUE_LEN, key_bytes),
    BOOL(CKA_ENCRYPT, no), BOOL(CKA_DECRYPT, no), BOOL(CKA_SIGN, no), BOOL(CKA_VERIFY, no), BOOL(CKA_WRAP, no),
    BOOL(CKA_UNWRAP, no), BOOL(CKA_DERIVE, no),
  };
  CK_MECHANISM generation = {CKM_AES_KEY_GEN, NULL, 0};
  CALL(GENERATE_KEY, session, &generation, key_template, COUNT(key_template), &key);
  get_attributes(key, read_back, COUNT(read_back));
  if (keep) get_attributes(key, identity, COUNT(identity));

  CK_ATTRIBUTE wrapping_template[] = {
    ULONG(CKA_CLASS, public_key), ULONG(CKA_KEY_TYPE, rsa), BOOL(CKA_TOKEN, no), BOOL(CKA_PRIVATE, no),
    BOOL(CKA_ENCRYPT, no), BOOL(CKA_VERIFY, no), BOOL(CKA_VERIFY_RECOVER, no), BOOL(CKA_WRAP, yes),
    BOOL(CKA_DERIVE, no), {CKA_MODULUS, modulus, modulus_length}, {CKA_PUBLIC_EXPONENT, exponent, sizeof exponent},
  };
  CALL(CREATE_OBJECT, session, wrapping_template, COUNT(wrapping_template), &wrapping_key);
  CK_RSA_PKCS_OAEP_PARAMS oaep = {CKM_SHA_1, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, NULL, 0};
  CK_MECHANISM wrapping = {CKM_RSA_PKCS_OAEP, &oaep, sizeof oaep};
  CALL(WRAP_KEY, session, &wrapping, wrapping_key, key, wrapped, &wrapped_length);
  if (wrapped_length != modulus_length) check("the length of the wrapped key", 1);
  CALL(DESTROY_OBJECT, session, wrapping_key);

  if (!keep) CALL(DESTROY_OBJECT, session, key);
}

static CK_ULONG read_file(const char *path, CK_BYTE *bytes, CK_ULONG most) {
  FILE *file = fopen(path, "rb");
  if (!file) return perror(path), exit(1), 0;
  CK_ULONG length = fread(bytes, 1, most, file);
  fclose(file);
  return length;
}

static CK_ULONG slot_of(const char *label) {
  CK_ULONG slots[64], count = COUNT(slots);
  CALL(GET_SLOT_LIST, (CK_ULONG)1, slots, &count);
  for (CK_ULONG i = 0; i < count; i++) {
    CK_BYTE info[512];  // CK_TOKEN_INFO begins with the label, 32 bytes padded with blanks
    char padded[33];
    snprintf(padded, sizeof padded, "%-32s", label);
    CALL(GET_TOKEN_INFO, slots[i], info);
    if (memcmp(info, padded, 32) == 0) return slots[i];
  }
  check("the search for the token", 1);
  return 0;
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
  if (argc < 6) return fprintf(stderr, "usage: wrap-loop MODULE LABEL PIN-FILE MODULUS-FILE SECONDS [KEYS [keep]]\n"), 64;
  void *library = dlopen(argv[1], RTLD_NOW);
  if (!library) return fprintf(stderr, "wrap-loop: %s\n", dlerror()), 1;
  CK_ULONG (*get_list)(CK_FUNCTION_LIST **) = (CK_ULONG(*)(CK_FUNCTION_LIST **))dlsym(library, "C_GetFunctionList");
  if (!get_list) return fprintf(stderr, "wrap-loop: %s\n", dlerror()), 1;
  check("C_GetFunctionList", get_list(&list));

  CK_C_INITIALIZE_ARGS locking = {.flags = CKF_OS_LOCKING_OK};
  CK_BYTE pin[256];
  CK_ULONG pin_length = read_file(argv[3], pin, sizeof pin);
  while (pin_length > 0 && pin[pin_length - 1] == '\n') pin_length--;
  CK_ULONG modulus_length = read_file(argv[4], modulus, sizeof modulus);
  CALL(INITIALIZE, &locking);
  CALL(OPEN_SESSION, slot_of(argv[2]), (CK_ULONG)(CKF_RW_SESSION | CKF_SERIAL_SESSION), NULL, NULL, &session);
  CALL(LOGIN, session, (CK_ULONG)CKU_USER, pin, pin_length);

  keep = argc > 7;

  double start = now(), end = start + atof(argv[5]);
  unsigned long keys = 0, most = argc > 6 ? strtoul(argv[6], NULL, 10) : UINT32_MAX;
  while (keys < most && now() < end) one_key(keys++, modulus_length);
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  double cpu = used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
  printf("%lu %.6f %.6f\n", keys, now() - start, cpu);
  CALL(FINALIZE, NULL);
  return 0;
}
