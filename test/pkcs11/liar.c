/* SPDX-License-Identifier: Apache-2.0
 * A PKCS #11 module that passes every call on to the real one named by LIAR_MODULE, and lies as LIAR says: a token
 * that misbehaves in ways that no Debian package does. Built by test/support/liar.ts.
 *
 * LIAR_LOGIN: what C_Login answers without asking the real token, a number; or "killed", where the process dies after
 * the real answer. LIAR_PIN: the token has a keypad, at which somebody types this. LIAR_CALLS: a file that gets a line
 * for each C_Login, with the PIN. LIAR_SERIAL: the token's serial number. LIAR_CREATE: no key comes in by its value.
 * LIAR_HANGS: the call that never returns. */
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#define CK_PTR *
#define CK_DEFINE_FUNCTION(returns, name) returns name
#define CK_DECLARE_FUNCTION(returns, name) returns name
#define CK_DECLARE_FUNCTION_POINTER(returns, name) returns(*name)
#define CK_CALLBACK_FUNCTION(returns, name) returns(*name)
#define NULL_PTR 0
#include "pkcs11.h"

static CK_FUNCTION_LIST_PTR real;
static CK_FUNCTION_LIST lying;
static CK_OBJECT_HANDLE last, last_but_one;
static CK_ULONG sessions;
enum { MOST = 64 };
static CK_OBJECT_HANDLE unwrapped[1024];
static CK_ULONG unwrapped_count;
static CK_SESSION_HANDLE open_handles[MOST];

static int lie(const char *name) {
  const char *told = getenv("LIAR");
  return told != NULL && strcmp(told, name) == 0;
}

static CK_BBOOL boolean_of(CK_ATTRIBUTE_PTR template, CK_ULONG count, CK_ATTRIBUTE_TYPE type) {
  for (CK_ULONG at = 0; at < count; at++)
    if (template[at].type == type && template[at].ulValueLen == 1) return *(CK_BBOOL *)template[at].pValue;
  return CK_FALSE;
}

static CK_BBOOL is_token_object(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object) {
  CK_BBOOL token = CK_FALSE;
  CK_ATTRIBUTE asked = {CKA_TOKEN, &token, sizeof token};
  return real->C_GetAttributeValue(session, object, &asked, 1) == CKR_OK && token;
}

/* A module without locking: once two of its calls ran at one time, nothing works any more. */
static int running, broken;

static CK_RV enter(void) {
  if (!lie("no locking")) return CKR_OK;
  if (__sync_fetch_and_add(&running, 1) != 0) broken = 1;
  usleep(2000);
  return broken ? CKR_GENERAL_ERROR : CKR_OK;
}

static CK_RV leave(CK_RV result) {
  if (lie("no locking")) __sync_fetch_and_sub(&running, 1);
  return result;
}

static void hang(const char *call) {
  const char *told = getenv("LIAR_HANGS");
  while (told != NULL && strcmp(told, call) == 0) pause();
}

static CK_RV get_slot_list(CK_BBOOL present, CK_SLOT_ID_PTR list, CK_ULONG_PTR count) {
  hang("C_GetSlotList");
  return real->C_GetSlotList(present, list, count);
}

static CK_RV find_objects(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE_PTR objects, CK_ULONG most, CK_ULONG_PTR count) {
  hang("C_FindObjects");
  return real->C_FindObjects(session, objects, most, count);
}

static CK_RV finalize(CK_VOID_PTR reserved) {
  hang("C_Finalize");
  return real->C_Finalize(reserved);
}

static CK_RV initialize(CK_VOID_PTR given) {
  hang("C_Initialize");
  CK_C_INITIALIZE_ARGS_PTR args = given;
  if (lie("never initialised")) return CKR_CANT_LOCK;
  if (lie("no locking") && args != NULL && args->flags & CKF_OS_LOCKING_OK) return CKR_CANT_LOCK;
  running = broken = 0;
  unwrapped_count = 0;
  return real->C_Initialize(given);
}

static CK_RV find_objects_init(CK_SESSION_HANDLE session, CK_ATTRIBUTE_PTR template, CK_ULONG count) {
  CK_RV result = enter();
  return leave(result == CKR_OK ? real->C_FindObjectsInit(session, template, count) : result);
}

static int is_public(CK_SESSION_HANDLE session);

static CK_RV generate_key(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_ATTRIBUTE_PTR template,
                          CK_ULONG count, CK_OBJECT_HANDLE_PTR key) {
  hang("C_GenerateKey");
  if (is_public(session)) return CKR_USER_NOT_LOGGED_IN;
  if (lie("no AES") && mechanism->mechanism == CKM_AES_KEY_GEN) return CKR_MECHANISM_INVALID;
  if (boolean_of(template, count, CKA_TOKEN)) {
    if (lie("write protected")) return CKR_TOKEN_WRITE_PROTECTED;
    if (lie("full")) return CKR_DEVICE_MEMORY;
    if (lie("a role that may not write")) return CKR_SESSION_READ_ONLY;
  }
  CK_RV result = enter();
  if (result == CKR_OK) result = real->C_GenerateKey(session, mechanism, template, count, key);
  leave(result);
  if (result != CKR_OK) return result;
  last_but_one = last;
  last = *key;
  if (lie("the handle of the key before")) *key = last_but_one;
  return CKR_OK;
}

/* CKM_RSA_AES_KEY_WRAP by calls of the real token: an AES key by OAEP, the key under that AES key. */
static CK_RV wrap_natively(CK_SESSION_HANDLE session, CK_RSA_AES_KEY_WRAP_PARAMS *params, CK_OBJECT_HANDLE wrapping,
                           CK_OBJECT_HANDLE key, CK_BYTE_PTR wrapped, CK_ULONG_PTR length) {
  CK_RSA_PKCS_OAEP_PARAMS sha1 = {CKM_SHA_1, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, NULL, 0};
  CK_OBJECT_CLASS class = CKO_SECRET_KEY;
  CK_KEY_TYPE type = CKK_AES;
  CK_ULONG bytes = params->ulAESKeyBits / 8, head = *length, tail;
  CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
  CK_ATTRIBUTE template[] = {{CKA_CLASS, &class, sizeof class},   {CKA_KEY_TYPE, &type, sizeof type},
                             {CKA_VALUE_LEN, &bytes, sizeof bytes}, {CKA_TOKEN, &no, 1},
                             {CKA_SENSITIVE, &yes, 1},            {CKA_EXTRACTABLE, &yes, 1},
                             {CKA_WRAP, &yes, 1}};
  CK_MECHANISM generate = {CKM_AES_KEY_GEN, NULL, 0};
  CK_MECHANISM pad = {CKM_AES_KEY_WRAP_PAD, NULL, 0};
  CK_MECHANISM oaep = {CKM_RSA_PKCS_OAEP, lie("native, one hash for all") ? &sha1 : params->pOAEPParams, sizeof sha1};
  CK_OBJECT_HANDLE aes;
  CK_RV result = real->C_GenerateKey(session, &generate, template, sizeof template / sizeof *template, &aes);
  if (result != CKR_OK) return result;
  result = real->C_WrapKey(session, &oaep, wrapping, aes, wrapped, &head);
  if (result == CKR_OK) {
    tail = *length - head;
    result = real->C_WrapKey(session, &pad, aes, key, wrapped + head, &tail);
    *length = head + tail;
    if (lie("native, a flipped bit")) wrapped[*length - 1] ^= 1;
  }
  real->C_DestroyObject(session, aes);
  return result;
}

static int is_native(void) {
  return lie("native") || lie("native alone") || lie("native, one hash for all") || lie("native, a flipped bit");
}

/* CKM_RSA_AES_KEY_WRAP alone, as YubiHSM 2 has it: no other way out, and none in. */
static int is_missing(CK_MECHANISM_TYPE type) {
  return lie("native alone") && type != CKM_RSA_AES_KEY_WRAP;
}

static int wraps_by_aes(CK_MECHANISM_TYPE type) {
  return type == CKM_AES_KEY_WRAP || type == CKM_AES_KEY_WRAP_PAD;
}

static CK_RV get_mechanism_list(CK_SLOT_ID slot, CK_MECHANISM_TYPE_PTR list, CK_ULONG_PTR count) {
  CK_ULONG room = *count, kept = 0;
  CK_RV result = real->C_GetMechanismList(slot, list, count);
  if (result != CKR_OK || !is_native()) return result;
  if (list != NULL && *count >= room) return CKR_BUFFER_TOO_SMALL;
  if (list == NULL) return (*count)++, CKR_OK;
  for (CK_ULONG at = 0; at < *count; at++)
    if (!is_missing(list[at]) || !wraps_by_aes(list[at])) list[kept++] = list[at];
  list[kept++] = CKM_RSA_AES_KEY_WRAP;
  *count = kept;
  return CKR_OK;
}

/* EC private keys with a scalar of another length than RFC 5915 has, of every key or of those that C_UnwrapKey made. */
static int is_unwrapped(CK_OBJECT_HANDLE key) {
  for (CK_ULONG at = 0; at < unwrapped_count && at < 1024; at++)
    if (unwrapped[at] == key) return 1;
  return 0;
}

static int is_ec_private(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key) {
  CK_OBJECT_CLASS class = 0;
  CK_KEY_TYPE type = 0;
  CK_ATTRIBUTE asked[] = {{CKA_CLASS, &class, sizeof class}, {CKA_KEY_TYPE, &type, sizeof type}};
  return real->C_GetAttributeValue(session, key, asked, 2) == CKR_OK && class == CKO_PRIVATE_KEY && type == CKK_EC;
}

/* Where the content of a DER element starts, and where the last byte of its length is. */
static CK_ULONG content(CK_BYTE_PTR der, CK_ULONG at, CK_ULONG *length) {
  *length = der[at + 1] < 0x80 ? at + 1 : at + 1 + (der[at + 1] & 0x7f);
  return *length + 1;
}

/* Drops the leading zero bytes of the scalar, or adds one where its first bit is set. */
static CK_ULONG change_scalar(CK_BYTE_PTR der, CK_ULONG bytes, int add) {
  CK_ULONG lengths[5], at = content(der, 0, &lengths[0]) + 3;
  at = content(der, at, &lengths[4]), at += der[lengths[4]];
  at = content(der, at, &lengths[1]), at = content(der, at, &lengths[2]) + 3, at = content(der, at, &lengths[3]);
  for (; !add && der[at] == 0; bytes--) {
    memmove(der + at, der + at + 1, bytes - at - 1);
    for (int each = 0; each < 4; each++) der[lengths[each]]--;
  }
  if (!add || der[at] < 0x80) return bytes;
  memmove(der + at + 1, der + at, bytes - at);
  der[at] = 0;
  for (int each = 0; each < 4; each++) der[lengths[each]]++;
  return bytes + 1;
}

static CK_RV wrap_changed(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE wrapping,
                          CK_OBJECT_HANDLE key, CK_BYTE_PTR wrapped, CK_ULONG_PTR length) {
  CK_OBJECT_CLASS class = CKO_SECRET_KEY;
  CK_KEY_TYPE aes_type = CKK_AES, secret_type = CKK_GENERIC_SECRET;
  CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
  CK_BYTE value[32] = {1}, der[1024], sealed[1024];
  CK_ULONG bytes = sizeof sealed;
  CK_ATTRIBUTE known[] = {{CKA_CLASS, &class, sizeof class}, {CKA_KEY_TYPE, &aes_type, sizeof aes_type},
                          {CKA_TOKEN, &no, 1},               {CKA_WRAP, &yes, 1},
                          {CKA_UNWRAP, &yes, 1},             {CKA_VALUE, value, sizeof value}};
  CK_ATTRIBUTE secret[] = {{CKA_CLASS, &class, sizeof class}, {CKA_KEY_TYPE, &secret_type, sizeof secret_type},
                           {CKA_TOKEN, &no, 1},               {CKA_SENSITIVE, &no, 1},
                           {CKA_EXTRACTABLE, &yes, 1},        {CKA_VALUE, der, sizeof der}};
  CK_OBJECT_HANDLE aes, plain, changed;
  CK_RV result = real->C_CreateObject(session, known, 6, &aes);
  if (result == CKR_OK) result = real->C_WrapKey(session, mechanism, aes, key, sealed, &bytes);
  if (result == CKR_OK) result = real->C_UnwrapKey(session, mechanism, aes, sealed, bytes, secret, 5, &plain);
  if (result == CKR_OK) result = real->C_GetAttributeValue(session, plain, &secret[5], 1);
  if (result != CKR_OK) return result;
  secret[5].ulValueLen = change_scalar(der, secret[5].ulValueLen, lie("a zero byte before the scalar"));
  result = real->C_CreateObject(session, secret, 6, &changed);
  if (result == CKR_OK) result = real->C_WrapKey(session, mechanism, wrapping, changed, wrapped, length);
  real->C_DestroyObject(session, aes);
  real->C_DestroyObject(session, plain);
  real->C_DestroyObject(session, changed);
  return result;
}

static CK_RV unwrap_key(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE unwrapping,
                        CK_BYTE_PTR wrapped, CK_ULONG bytes, CK_ATTRIBUTE_PTR template, CK_ULONG count,
                        CK_OBJECT_HANDLE_PTR key) {
  if (is_missing(mechanism->mechanism)) return CKR_MECHANISM_INVALID;
  CK_RV result = real->C_UnwrapKey(session, mechanism, unwrapping, wrapped, bytes, template, count, key);
  if (result == CKR_OK) unwrapped[unwrapped_count++ % 1024] = *key;
  return result;
}

static CK_RV wrap_key(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE wrapping,
                      CK_OBJECT_HANDLE key, CK_BYTE_PTR wrapped, CK_ULONG_PTR length) {
  hang("C_WrapKey");
  int changes = lie("short scalars") || lie("a zero byte before the scalar") ||
                lie("short scalars once unsealed") && is_unwrapped(key);
  if (changes && is_ec_private(session, key))
    return wrap_changed(session, mechanism, wrapping, key, wrapped, length);
  CK_RSA_PKCS_OAEP_PARAMS sha1 = {CKM_SHA_1, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, NULL, 0};
  CK_MECHANISM oaep = {CKM_RSA_PKCS_OAEP, &sha1, sizeof sha1};
  CK_MECHANISM pkcs1 = {CKM_RSA_PKCS, NULL, 0};
  if (lie("device removed")) return CKR_DEVICE_REMOVED;
  if (is_native() && mechanism->mechanism == CKM_RSA_AES_KEY_WRAP)
    return wrap_natively(session, mechanism->pParameter, wrapping, key, wrapped, length);
  if (is_missing(mechanism->mechanism)) return CKR_MECHANISM_INVALID;
  if (lie("another key") && mechanism->mechanism == CKM_RSA_PKCS_OAEP) key = last_but_one;
  if (lie("one hash for all") && mechanism->mechanism == CKM_RSA_PKCS_OAEP) mechanism = &oaep;
  if (lie("old padding") && mechanism->mechanism == CKM_RSA_PKCS_OAEP) mechanism = &pkcs1;
  CK_RV result = enter();
  if (result == CKR_OK) result = real->C_WrapKey(session, mechanism, wrapping, key, wrapped, length);
  leave(result);
  if (result == CKR_OK && lie("nothing at all")) *length = 0;
  if (result == CKR_OK && lie("a short result")) *length -= 8;
  if (result == CKR_OK && lie("a flipped bit")) wrapped[*length - 1] ^= 1;
  return result;
}

static CK_RV get_attribute_value(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_PTR template,
                                 CK_ULONG count) {
  CK_RV result = real->C_GetAttributeValue(session, object, template, count);
  if (result == CKR_ATTRIBUTE_TYPE_INVALID && lie("empty for unknown")) {
    for (CK_ULONG at = 0; at < count; at++)
      if (template[at].ulValueLen == CK_UNAVAILABLE_INFORMATION) template[at].ulValueLen = 0;
    result = CKR_OK;
  }
  for (CK_ULONG at = 0; result == CKR_OK && at < count; at++) {
    CK_ATTRIBUTE_PTR attribute = &template[at];
    if (attribute->pValue == NULL || attribute->ulValueLen != 1) continue;
    CK_BBOOL *value = attribute->pValue;
    if (attribute->type == CKA_SENSITIVE && lie("not sensitive")) *value = CK_FALSE;
    if (attribute->type == CKA_SENSITIVE && lie("token objects not sensitive") && is_token_object(session, object))
      *value = CK_FALSE;
    if (attribute->type == CKA_EXTRACTABLE && lie("not extractable")) *value = CK_FALSE;
    if (attribute->type == CKA_DECRYPT && lie("decrypts")) *value = CK_TRUE;
  }
  return result;
}

/* The changes that ask whether an attribute is one-way. */
static CK_RV copy_object(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_PTR template, CK_ULONG count,
                         CK_OBJECT_HANDLE_PTR copy) {
  if (lie("gone at a copy")) return CKR_DEVICE_REMOVED;
  return real->C_CopyObject(session, object, template, count, copy);
}

static CK_RV set_attribute_value(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_PTR template,
                                 CK_ULONG count) {
  if (lie("gone at a change")) return CKR_TOKEN_NOT_PRESENT;
  return real->C_SetAttributeValue(session, object, template, count);
}

/* Whether the template is one of a public key without CKA_PRIVATE=true, where the token wants that. */
static int lacks_private(CK_ATTRIBUTE_PTR template, CK_ULONG count) {
  for (CK_ULONG at = 0; at < count; at++)
    if (template[at].type == CKA_CLASS && *(CK_OBJECT_CLASS *)template[at].pValue == CKO_PUBLIC_KEY)
      return lie("private public keys") && !boolean_of(template, count, CKA_PRIVATE);
  return 0;
}

/* Whether the template is one of a key with its value, which some tokens do not let in. */
static int has_value(CK_ATTRIBUTE_PTR template, CK_ULONG count) {
  for (CK_ULONG at = 0; at < count; at++)
    if (template[at].type == CKA_VALUE) return 1;
  return 0;
}

static CK_RV generate_key_pair(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_ATTRIBUTE_PTR public_template,
                               CK_ULONG public_count, CK_ATTRIBUTE_PTR private_template, CK_ULONG private_count,
                               CK_OBJECT_HANDLE_PTR public_key, CK_OBJECT_HANDLE_PTR private_key) {
  if (lacks_private(public_template, public_count)) return CKR_TEMPLATE_INCONSISTENT;
  return real->C_GenerateKeyPair(session, mechanism, public_template, public_count, private_template, private_count,
                                 public_key, private_key);
}

static CK_RV create_object(CK_SESSION_HANDLE session, CK_ATTRIBUTE_PTR template, CK_ULONG count,
                           CK_OBJECT_HANDLE_PTR object) {
  if (lacks_private(template, count)) return CKR_TEMPLATE_INCONSISTENT;
  if (getenv("LIAR_CREATE") != NULL && has_value(template, count)) return CKR_TEMPLATE_INCONSISTENT;
  CK_BBOOL local = boolean_of(template, count, CKA_LOCAL);
  if (lie("gone at a claim") && local) return CKR_DEVICE_REMOVED;
  return real->C_CreateObject(session, template, count, object);
}

static CK_RV sign_init(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE key) {
  if (lie("no HMAC of SHA-384") && mechanism->mechanism == CKM_SHA384_HMAC) return CKR_MECHANISM_INVALID;
  return real->C_SignInit(session, mechanism, key);
}

static CK_RV get_mechanism_info(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO_PTR info) {
  if (lie("an unknown mechanism") && type == CKM_AES_CBC) return CKR_MECHANISM_INVALID;
  return real->C_GetMechanismInfo(slot, type, info);
}

/* The slot of SoftHSM whose token is not initialised. */
static CK_RV get_slot_info(CK_SLOT_ID slot, CK_SLOT_INFO_PTR info) {
  CK_TOKEN_INFO token;
  if (lie("a broken slot") && real->C_GetTokenInfo(slot, &token) == CKR_OK && !(token.flags & CKF_TOKEN_INITIALIZED))
    return CKR_DEVICE_ERROR;
  return real->C_GetSlotInfo(slot, info);
}

static CK_RV get_info(CK_INFO_PTR info) {
  return lie("no information") ? CKR_GENERAL_ERROR : real->C_GetInfo(info);
}

static CK_ULONG sessions_of(CK_SLOT_ID slot) {
  CK_SESSION_INFO info;
  CK_ULONG count = 0;
  for (CK_ULONG at = 0; at < sessions && at < MOST; at++)
    if (real->C_GetSessionInfo(open_handles[at], &info) == CKR_OK && info.slotID == slot) count++;
  return count;
}

static CK_RV open_session(CK_SLOT_ID slot, CK_FLAGS flags, CK_VOID_PTR application, CK_NOTIFY notify,
                          CK_SESSION_HANDLE_PTR session) {
  if (lie("few sessions") && sessions >= 2) return CKR_SESSION_COUNT;
  if (lie("one session") && sessions >= 1) return CKR_SESSION_COUNT;
  if (lie("R/O sessions") && flags & CKF_RW_SESSION) return CKR_TOKEN_WRITE_PROTECTED;
  if (lie("R/O role") && flags & CKF_RW_SESSION) return CKR_SESSION_READ_ONLY;
  if (lie("no locking") && sessions_of(slot) >= 1) return CKR_FUNCTION_FAILED;
  CK_RV result = enter();
  if (result == CKR_OK) result = real->C_OpenSession(slot, flags, application, notify, session);
  leave(result);
  if (result == CKR_OK && sessions < MOST) open_handles[sessions] = *session;
  if (result == CKR_OK) sessions++;
  return result;
}

static CK_RV close_session(CK_SESSION_HANDLE session) {
  CK_RV result = real->C_CloseSession(session);
  if (result != CKR_OK) return result;
  sessions--;
  for (CK_ULONG at = 0; at < sessions && at < MOST; at++)
    if (open_handles[at] == session) open_handles[at] = sessions < MOST ? open_handles[sessions] : 0;
  return result;
}

static CK_RV get_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO_PTR info) {
  CK_RV result = real->C_GetTokenInfo(slot, info);
  const char *serial = getenv("LIAR_SERIAL");
  if (result != CKR_OK) return result;
  if (getenv("LIAR_PIN") != NULL) info->flags |= CKF_PROTECTED_AUTHENTICATION_PATH;
  if (serial != NULL) {
    memset(info->serialNumber, ' ', sizeof info->serialNumber);
    memcpy(info->serialNumber, serial, strlen(serial));
  }
  return result;
}

/* A login of one session alone: the others are public ones, and see and use no private object. */
static CK_SESSION_HANDLE logged_in;

static int is_public(CK_SESSION_HANDLE session) {
  return lie("a login of one session") && session != logged_in;
}

static CK_RV get_session_info(CK_SESSION_HANDLE session, CK_SESSION_INFO_PTR info) {
  CK_RV result = real->C_GetSessionInfo(session, info);
  if (result == CKR_OK && is_public(session)) info->state = CKS_RW_PUBLIC_SESSION;
  return result;
}

static CK_RV login(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR_PTR pin, CK_ULONG length) {
  hang("C_Login");
  const char *answer = getenv("LIAR_LOGIN"), *typed = getenv("LIAR_PIN"), *calls = getenv("LIAR_CALLS");
  if (calls != NULL) {
    FILE *file = fopen(calls, "a");
    if (pin == NULL) fprintf(file, "no PIN\n");
    else fprintf(file, "%.*s\n", (int)length, pin);
    fclose(file);
  }
  if (answer != NULL && strcmp(answer, "killed") != 0) return strtoul(answer, NULL, 0);
  if (typed != NULL) {
    if (pin != NULL) return CKR_ARGUMENTS_BAD;
    pin = (CK_UTF8CHAR_PTR)typed;
    length = strlen(typed);
  }
  CK_RV result = real->C_Login(session, user, pin, length);
  if (result == CKR_OK) logged_in = session;
  if (answer != NULL) raise(SIGKILL);
  return result;
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR list) {
  void *module = dlopen(getenv("LIAR_MODULE"), RTLD_NOW | RTLD_LOCAL);
  if (module == NULL) return CKR_LIBRARY_LOAD_FAILED;
  CK_C_GetFunctionList get = (CK_C_GetFunctionList)dlsym(module, "C_GetFunctionList");
  if (get == NULL || get(&real) != CKR_OK) return CKR_LIBRARY_LOAD_FAILED;
  lying = *real;
  lying.C_Initialize = initialize;
  lying.C_Finalize = finalize;
  lying.C_GetSlotList = get_slot_list;
  lying.C_FindObjects = find_objects;
  lying.C_FindObjectsInit = find_objects_init;
  lying.C_GenerateKey = generate_key;
  lying.C_GenerateKeyPair = generate_key_pair;
  lying.C_WrapKey = wrap_key;
  lying.C_UnwrapKey = unwrap_key;
  lying.C_GetMechanismList = get_mechanism_list;
  lying.C_GetAttributeValue = get_attribute_value;
  lying.C_OpenSession = open_session;
  lying.C_CloseSession = close_session;
  lying.C_CopyObject = copy_object;
  lying.C_SetAttributeValue = set_attribute_value;
  lying.C_CreateObject = create_object;
  lying.C_SignInit = sign_init;
  lying.C_GetMechanismInfo = get_mechanism_info;
  lying.C_GetSlotInfo = get_slot_info;
  lying.C_GetInfo = get_info;
  lying.C_GetTokenInfo = get_token_info;
  lying.C_GetSessionInfo = get_session_info;
  lying.C_Login = login;
  *list = &lying;
  return CKR_OK;
}
