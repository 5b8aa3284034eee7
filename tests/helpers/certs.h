/*
   The certificates of all tests. OpenSSL makes them in memory when a test starts, so that none expires in the tree:

       ca                    signs; `middle` is its intermediate
       server                "localhost", "host.test", 127.0.0.1; signed by middle, which follows it in the PEM text
       renewed               the same names, another certificate
       ip, wrong_ip          127.0.0.1, 127.0.0.2
       wrong_host, wildcard  "other.test", "*.host.test"
       expired, future, self_signed, stranger (of an unknown CA), revoked (see crl_pem)
       alice, odd, nul       clients: "CN=alice,O=Example"; all special characters; a zero byte in the name
       foreign               a client of the unknown CA

   certs_start() makes them, certs_end() frees them and removes the files that certs_file() wrote.
*/
#ifndef CERTS_H
#define CERTS_H

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* All characters that RFC 4514 escapes, and one that is not ASCII. */
#define CERTS_ODD "#a,b+c\"d\\e<f>g;h=i \xc3\xa9 "
#define CERTS_NUL "alice\0evil"

enum { CERTS_DAY = 86400, CERTS_FILES = 32 };

typedef struct cert {
    X509 *x509;
    EVP_PKEY *key;
    char *pem;     /* followed by its issuer's, if that is an intermediate */
    char *key_pem;
} cert;

typedef struct cert_wish {
    const char *name;   /* the CN; name_size 0: up to its zero byte */
    size_t name_size;
    const char *organisation;
    const char *alt;    /* "DNS:localhost,IP:127.0.0.1" */
    const char *usage;  /* "serverAuth" */
    const cert *issuer; /* NULL: it is self-signed */
    long from, until;   /* days from today; both 0: from yesterday, for a year */
    bool ca, rsa;
} cert_wish;

typedef struct certs_state {
    cert ca, middle, server, renewed, ip, wrong_ip, wrong_host, wildcard, expired, future, self_signed, revoked;
    cert unknown_ca, stranger, below_revoked, revoked_middle, alice, odd, nul, foreign, rsa;
    char *crl_pem; /* lists of ca and of middle, with revoked and revoked_middle */
    long serial;
    char folder[200];
    char files[CERTS_FILES][280];
    size_t file_count;
} certs_state;

static certs_state certs;

static inline void certs_need(bool good) {
    if (!good)
        abort();
}

/* The contents of a memory BIO as a string; frees the BIO. */
static inline char *certs_text(BIO *bio) {
    char *data = NULL, *text;
    long size = BIO_get_mem_data(bio, &data);
    text = (char *)malloc((size_t)size + 1);
    certs_need(text && size > 0);
    memcpy(text, data, (size_t)size);
    text[size] = 0;
    BIO_free(bio);
    return text;
}

static inline EVP_PKEY *certs_key(bool rsa) {
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_id(rsa ? EVP_PKEY_RSA : EVP_PKEY_EC, NULL);
    EVP_PKEY *key = NULL;
    certs_need(context && EVP_PKEY_keygen_init(context) > 0);
    if (rsa)
        certs_need(EVP_PKEY_CTX_set_rsa_keygen_bits(context, 2048) > 0);
    else
        certs_need(EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context, NID_X9_62_prime256v1) > 0
                   && EVP_PKEY_CTX_set_ec_param_enc(context, OPENSSL_EC_NAMED_CURVE) > 0);
    certs_need(EVP_PKEY_keygen(context, &key) > 0);
    EVP_PKEY_CTX_free(context);
    return key;
}

static inline void certs_extension(X509 *x509, const X509 *issuer, int nid, const char *value) {
    X509V3_CTX context;
    X509_EXTENSION *extension;
    if (!value)
        return;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, (X509 *)(uintptr_t)issuer, x509, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, nid, (char *)(uintptr_t)value);
    certs_need(extension && X509_add_ext(x509, extension, -1));
    X509_EXTENSION_free(extension);
}

static inline void certs_entry(X509_NAME *name, int nid, const char *value, size_t size) {
    if (value)
        certs_need(X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8, (const unsigned char *)value,
                                              (int)(size ? size : strlen(value)), -1, 0) == 1);
}

static inline cert certs_make(const cert_wish *wish) {
    const cert *issuer = wish->issuer;
    X509_NAME *name = X509_NAME_new();
    BIO *bio = BIO_new(BIO_s_mem()), *key_bio = BIO_new(BIO_s_mem());
    bool dated = wish->from || wish->until;
    cert made;
    made.x509 = X509_new();
    made.key = certs_key(wish->rsa);
    certs_need(name && bio && key_bio && made.x509 && made.key);
    /* O before CN: the text has the reverse order, "CN=alice,O=Example" */
    certs_entry(name, NID_organizationName, wish->organisation, 0);
    certs_entry(name, NID_commonName, wish->name, wish->name_size);
    certs_need(X509_set_version(made.x509, 2) && ASN1_INTEGER_set(X509_get_serialNumber(made.x509), ++certs.serial)
               && X509_gmtime_adj(X509_getm_notBefore(made.x509), CERTS_DAY * (dated ? wish->from : -1))
               && X509_gmtime_adj(X509_getm_notAfter(made.x509), CERTS_DAY * (dated ? wish->until : 365))
               && X509_set_subject_name(made.x509, name)
               && X509_set_issuer_name(made.x509, issuer ? X509_get_subject_name(issuer->x509) : name)
               && X509_set_pubkey(made.x509, made.key));
    certs_extension(made.x509, issuer ? issuer->x509 : made.x509, NID_basic_constraints,
                    wish->ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
    certs_extension(made.x509, made.x509, NID_key_usage,
                    wish->ca ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature");
    certs_extension(made.x509, made.x509, NID_ext_key_usage, wish->usage);
    certs_extension(made.x509, made.x509, NID_subject_alt_name, wish->alt);
    certs_extension(made.x509, made.x509, NID_subject_key_identifier, "hash");
    certs_extension(made.x509, issuer ? issuer->x509 : made.x509, NID_authority_key_identifier, "keyid:always");
    certs_need(X509_sign(made.x509, issuer ? issuer->key : made.key, EVP_sha256()) > 0);
    certs_need(PEM_write_bio_X509(bio, made.x509) == 1);
    if (issuer && X509_check_issued(issuer->x509, issuer->x509) != X509_V_OK)
        certs_need(PEM_write_bio_X509(bio, issuer->x509) == 1);
    certs_need(PEM_write_bio_PrivateKey(key_bio, made.key, NULL, NULL, 0, NULL, NULL) == 1);
    made.pem = certs_text(bio);
    made.key_pem = certs_text(key_bio);
    X509_NAME_free(name);
    return made;
}

static inline void certs_free(cert *c) {
    X509_free(c->x509);
    EVP_PKEY_free(c->key);
    free(c->pem);
    free(c->key_pem);
    memset(c, 0, sizeof *c);
}

/* Appends the issuer's revocation list with these two certificates, which may be NULL. */
static inline void certs_crl(BIO *bio, const cert *issuer, const cert *first, const cert *second) {
    const cert *both[2];
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *from = X509_gmtime_adj(NULL, -CERTS_DAY), *until = X509_gmtime_adj(NULL, 30 * CERTS_DAY);
    size_t i;
    both[0] = first;
    both[1] = second;
    certs_need(crl && from && until && X509_CRL_set_version(crl, 1)
               && X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer->x509))
               && X509_CRL_set1_lastUpdate(crl, from) && X509_CRL_set1_nextUpdate(crl, until));
    for (i = 0; i < 2; i++) {
        X509_REVOKED *revoked = both[i] ? X509_REVOKED_new() : NULL;
        if (revoked)
            certs_need(X509_REVOKED_set_serialNumber(revoked, X509_get_serialNumber(both[i]->x509))
                       && X509_REVOKED_set_revocationDate(revoked, from) && X509_CRL_add0_revoked(crl, revoked));
    }
    certs_need(X509_CRL_sort(crl) && X509_CRL_sign(crl, issuer->key, EVP_sha256()) > 0);
    certs_need(PEM_write_bio_X509_CRL(bio, crl) == 1);
    ASN1_TIME_free(from);
    ASN1_TIME_free(until);
    X509_CRL_free(crl);
}

static inline cert certs_ca(const char *name, const cert *issuer) {
    cert_wish wish;
    memset(&wish, 0, sizeof wish);
    wish.name = name;
    wish.issuer = issuer;
    wish.ca = true;
    return certs_make(&wish);
}

static inline cert certs_server(const char *name, const char *alt, const cert *issuer, long from, long until) {
    cert_wish wish;
    memset(&wish, 0, sizeof wish);
    wish.name = name;
    wish.alt = alt;
    wish.usage = "serverAuth";
    wish.issuer = issuer;
    wish.from = from;
    wish.until = until;
    return certs_make(&wish);
}

static inline cert certs_client(const char *name, size_t size, const cert *issuer) {
    cert_wish wish;
    memset(&wish, 0, sizeof wish);
    wish.organisation = "Example";
    wish.name = name;
    wish.name_size = size;
    wish.usage = "clientAuth";
    wish.issuer = issuer;
    return certs_make(&wish);
}

static inline void certs_start(void) {
    static const char here[] = "DNS:localhost,DNS:host.test,IP:127.0.0.1,IP:0:0:0:0:0:0:0:1";
    BIO *crl = BIO_new(BIO_s_mem());
    memset(&certs, 0, sizeof certs);
    certs.ca = certs_ca("Test CA", NULL);
    certs.middle = certs_ca("Test Intermediate", &certs.ca);
    certs.revoked_middle = certs_ca("Test Revoked Intermediate", &certs.ca);
    certs.unknown_ca = certs_ca("Unknown CA", NULL);
    certs.server = certs_server("server", here, &certs.middle, 0, 0);
    certs.renewed = certs_server("renewed", here, &certs.middle, 0, 0);
    certs.ip = certs_server("ip", "IP:127.0.0.1", &certs.ca, 0, 0);
    certs.wrong_ip = certs_server("wrong ip", "IP:127.0.0.2", &certs.ca, 0, 0);
    certs.wrong_host = certs_server("wrong host", "DNS:other.test", &certs.ca, 0, 0);
    certs.wildcard = certs_server("wildcard", "DNS:*.host.test", &certs.ca, 0, 0);
    certs.expired = certs_server("expired", here, &certs.ca, -20, -10);
    certs.future = certs_server("future", here, &certs.ca, 10, 20);
    certs.self_signed = certs_server("self-signed", here, NULL, 0, 0);
    certs.stranger = certs_server("stranger", here, &certs.unknown_ca, 0, 0);
    certs.revoked = certs_server("revoked", here, &certs.ca, 0, 0);
    certs.below_revoked = certs_server("below revoked", here, &certs.revoked_middle, 0, 0);
    certs.alice = certs_client("alice", 0, &certs.ca);
    certs.odd = certs_client(CERTS_ODD, 0, &certs.ca);
    certs.nul = certs_client(CERTS_NUL, sizeof CERTS_NUL - 1, &certs.ca);
    certs.foreign = certs_client("mallory", 0, &certs.unknown_ca);
    certs_need(crl != NULL);
    certs_crl(crl, &certs.ca, &certs.revoked, &certs.revoked_middle);
    certs_crl(crl, &certs.middle, NULL, NULL);
    certs_crl(crl, &certs.revoked_middle, NULL, NULL);
    certs.crl_pem = certs_text(crl);
}

/* Making an RSA key takes long, so this certificate is made only when asked for. */
static inline const cert *certs_rsa(void) {
    cert_wish wish;
    memset(&wish, 0, sizeof wish);
    wish.name = "rsa";
    wish.alt = "DNS:localhost,IP:127.0.0.1";
    wish.usage = "serverAuth";
    wish.issuer = &certs.ca;
    wish.rsa = true;
    if (!certs.rsa.x509)
        certs.rsa = certs_make(&wish);
    return &certs.rsa;
}

/* Writes a file into a temporary folder and returns its path, valid until certs_end. A second file of this name
   replaces the first. text NULL: there is no file, only the path. */
static inline const char *certs_file(const char *name, const char *text) {
    const char *base = getenv("TMPDIR");
    char *path = certs.files[certs.file_count];
    FILE *file;
    size_t i;
    if (!certs.folder[0]) {
        (void)snprintf(certs.folder, sizeof certs.folder, "%s/ws_certs_XXXXXX", base && *base ? base : P_tmpdir);
        certs_need(mkdtemp(certs.folder) != NULL);
    }
    certs_need(certs.file_count < CERTS_FILES);
    (void)snprintf(path, sizeof *certs.files, "%s/%s", certs.folder, name);
    for (i = 0; i < certs.file_count && strcmp(certs.files[i], path) != 0; i++) {}
    if (i < certs.file_count)
        path = certs.files[i];
    else
        certs.file_count++;
    if (!text) {
        (void)remove(path);
        return path;
    }
    file = fopen(path, "w");
    certs_need(file && fputs(text, file) >= 0);
    certs_need(fclose(file) == 0);
    return path;
}

static inline void certs_end(void) {
    cert *all[] = {&certs.ca, &certs.middle, &certs.server, &certs.renewed, &certs.ip, &certs.wrong_ip,
                   &certs.wrong_host, &certs.wildcard, &certs.expired, &certs.future, &certs.self_signed,
                   &certs.revoked, &certs.unknown_ca, &certs.stranger, &certs.below_revoked,
                   &certs.revoked_middle, &certs.alice, &certs.odd, &certs.nul, &certs.foreign, &certs.rsa};
    size_t i;
    for (i = 0; i < sizeof all / sizeof *all; i++)
        certs_free(all[i]);
    free(certs.crl_pem);
    for (i = 0; i < certs.file_count; i++)
        (void)remove(certs.files[i]);
    if (certs.folder[0])
        (void)rmdir(certs.folder);
    memset(&certs, 0, sizeof certs);
}

#endif
