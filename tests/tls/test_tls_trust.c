/* TLS: whom a config trusts, and what that costs. Authorities that are intermediates or unusable, names in the
   subject alone, contexts that are shared, the system's own policy. Peers as in test_tls.c. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <stddef.h>

static size_t contexts, roots; /* how many were made; how often the system's roots were read */

#ifndef WS_NO_TLS
#if defined(_WIN32)
#include <winsock2.h>
#include <wincrypt.h>
#endif
#include <openssl/ssl.h>

static SSL_CTX *counted_context(const SSL_METHOD *method) {
    contexts++;
    return SSL_CTX_new(method);
}

#if defined(_WIN32)
static HCERTSTORE own_roots; /* in place of the system's, unless NULL */

static HCERTSTORE counted_store(HCRYPTPROV_LEGACY provider, const wchar_t *name) {
    roots++;
    return own_roots ? CertDuplicateStore(own_roots) : CertOpenSystemStoreW(provider, name);
}
#define CertOpenSystemStoreW counted_store
#else
static int counted_roots(SSL_CTX *context) {
    roots++;
    return SSL_CTX_set_default_verify_paths(context);
}
#define SSL_CTX_set_default_verify_paths counted_roots
#endif

#define SSL_CTX_new counted_context
#endif

#define WS_IMPLEMENTATION
#include "../../ws.h"

#undef SSL_CTX_new
#undef SSL_CTX_set_default_verify_paths
#undef CertOpenSystemStoreW

#ifdef WS_NO_TLS

#include "../helpers/test.h"

int main(int argc, char **argv) {
    test_start(argc, argv);
    (void)test_begin("TLS: trust");
    test_skip("built with WS_NO_TLS");
    return test_finish() + (int)(contexts + roots);
}

#else

#include "../helpers/tls.h"

#include <sys/wait.h>

static ws_tls_config with(const cert *own) {
    ws_tls_config tls;
    memset(&tls, 0, sizeof tls);
    tls.cert_pem = own->pem;
    tls.key_pem = own->key_pem;
    return tls;
}

static bool start_server(const ws_tls_config *tls) {
    ws_server_config config;
    memset(&config, 0, sizeof config);
    if (tls)
        config.tls = *tls;
    return net_start_with(NULL, &config);
}

static bool start(const cert *own) {
    ws_tls_config tls = with(own);
    bool good = start_server(&tls);
    contexts = roots = 0;
    return good;
}

static tls_client *dial_as(const char *scheme, uint16_t port, const ws_tls_config *tls) {
    ws_client_config config;
    memset(&config, 0, sizeof config);
    config.tls = *tls;
    return tls_dial_port(scheme, port, &config);
}

/* A client that has opened, or failed. */
static tls_client *dial(const ws_tls_config *tls) {
    tls_client *c = dial_as("wss", ws_port(net.server), tls);
    UNTIL(c->opened || c->errors);
    return c;
}

static void check_opened(const tls_client *c, bool opened, int line) {
    test_equal(c->opened, opened, "the client opens", __FILE__, line);
    if (opened && c->errors)
        printf("    %s\n", c->why);
}

#define CHECK_OPENED(c, opened) check_opened((c), (opened), __LINE__)

static char *joined(const char *const *texts) { /* NULL at the end; the caller frees it */
    BIO *bio = BIO_new(BIO_s_mem());
    for (; *texts; texts++)
        certs_need(BIO_puts(bio, *texts) > 0);
    return certs_text(bio);
}

/* --- names: RFC 9525 2 and 6.3: the subject's CN is no name --- */

static void test_subject(void) {
    static const struct {
        const char *cn, *alt, *name;
        bool good;
    } cases[] = {
        {"localhost", NULL, "localhost", false}, {"localhost", "IP:127.0.0.1", "localhost", false},
        {"localhost", "email:a@localhost", "localhost", false}, {"localhost", "DNS:other.test", "localhost", false},
        {"localhost", "URI:wss://localhost/", "localhost", false},
        {"127.0.0.1", NULL, "127.0.0.1", false}, {"127.0.0.1", "DNS:other.test", "127.0.0.1", false},
        {"127.0.0.1", "DNS:127.0.0.1", "127.0.0.1", false}, {"*.host.test", NULL, "a.host.test", false},
        {"nobody", "DNS:localhost", "localhost", true}, {"nobody", "IP:127.0.0.1", "127.0.0.1", true},
        /* one of many; in any case; a name's last dot is its own (RFC 9525 6.3) */
        {"nobody", "DNS:a.test,DNS:b.test,IP:127.0.0.1", "b.test", true}, {"nobody", "DNS:A.Test", "a.tEST", true},
        {"nobody", "DNS:a.test", "a.test.", true}, {"nobody", "DNS:a.test", "b.test", false},
        {"nobody", "DNS:a", "a.", true},
        {"nobody", "DNS:a.test", "xa.test", false}, {"nobody", "DNS:a.test", "a.test.evil.test", false},
        /* a star is one whole first label, below two more */
        {"nobody", "DNS:*.host.test", "a.host.test", true}, {"nobody", "DNS:*.host.test", "host.test", false},
        {"nobody", "DNS:*.host.test", "b.a.host.test", false},
        {"nobody", "DNS:*.test", "host.test", false}, {"nobody", "DNS:*", "localhost", false},
        {"nobody", "DNS:a.*.test", "a.host.test", false}, {"nobody", "DNS:a*.host.test", "ab.host.test", false},
        {"nobody", "DNS:*a.host.test", "ba.host.test", false}, {"nobody", "DNS:*.*.test", "a.host.test", false},
        {"nobody", "DNS:*.0.0.1", "127.0.0.1", false},
        /* names of other scripts, as they are looked up (RFC 5890) */
        {"nobody", "DNS:xn--bcher-kva.test", "xn--bcher-kva.test", true},
        {"nobody", "DNS:xn--bcher-kva.test", "XN--BCHER-KVA.test", true},
        {"nobody", "DNS:xn--bcher-kva.test", "bucher.test", false},
        {"nobody", "DNS:*.host.test", "xn--bcher-kva.host.test", true},
        {"nobody", "DNS:xn--*.host.test", "xn--bcher-kva.host.test", false},
        /* addresses are no names, and have one form */
        {"nobody", "IP:::1", "::1", true}, {"nobody", "IP:::1", "0:0::0:1", true}, {"nobody", "IP:::1", "::2", false},
        {"nobody", "IP:::ffff:127.0.0.1", "127.0.0.1", false}, {"nobody", "IP:127.0.0.1", "::ffff:127.0.0.1", false},
        {"nobody", "IP:127.0.0.1", "127.0.0.2", false}, {"nobody", "IP:127.0.0.1", "localhost", false},
        {"nobody", "DNS:::1", "::1", false},
    };
    size_t i;
    for (i = 0; i < COUNT(cases); i++) {
        ws_tls_config tls;
        tls_client *c;
        cert own;
        if (!test_begin("names: CN=%s with %s is %s %s", cases[i].cn, cases[i].alt ? cases[i].alt : "no other name",
                        cases[i].good ? "for" : "not for", cases[i].name))
            continue;
        own = certs_server(cases[i].cn, cases[i].alt, &certs.ca, 0, 0);
        CHECK(start(&own));
        memset(&tls, 0, sizeof tls);
        tls.ca_pem = certs.ca.pem;
        tls.server_name = cases[i].name;
        c = dial(&tls);
        CHECK_OPENED(c, cases[i].good);
        if (!cases[i].good) {
            CHECK_EQ(c->error, WS_ERROR_CERTIFICATE);
            CHECK_TOLD(c, cases[i].name);
        }
        TLS_END();
        certs_free(&own);
    }
}

/* --- authorities --- */

/* A config that names an intermediate trusts what that signed, and nothing else of the root (RFC 5280 6.1: a trust
   anchor need not be self-signed). */
static void test_partial_chain(void) {
    const char *lists[3];
    ws_tls_config tls, server;
    char *both;
    tls_client *c;
    cert below;
    if (!test_begin("authorities: an intermediate alone, for a client"))
        return;
    memset(&tls, 0, sizeof tls);
    tls.ca_pem = certs.middle.pem;
    CHECK(start(&certs.server));
    CHECK_OPENED(dial(&tls), true);
    TLS_END();
    CHECK(start(&certs.ip));
    c = dial(&tls);
    CHECK_OPENED(c, false);
    CHECK_EQ(c->error, WS_ERROR_CERTIFICATE);
    TLS_END();
    if (!test_begin("authorities: an intermediate alone, with lists of what was revoked"))
        return;
    tls.crl_file = certs_file("crl.pem", certs.crl_pem);
    CHECK(start(&certs.server));
    CHECK_OPENED(dial(&tls), true);
    TLS_END();
    CHECK(start(&certs.below_revoked));
    tls.ca_pem = certs.revoked_middle.pem; /* the root's list says that it was revoked */
    c = dial(&tls);
    CHECK_OPENED(c, false);
    CHECK_TOLD(c, "revoked");
    TLS_END();
    lists[0] = certs.ca.pem; /* also if the root is listed beside it */
    lists[1] = certs.revoked_middle.pem;
    lists[2] = NULL;
    tls.ca_pem = both = joined(lists);
    CHECK(start(&certs.below_revoked));
    c = dial(&tls);
    CHECK_OPENED(c, false);
    CHECK_TOLD(c, "revoked");
    TLS_END();
    free(both);
    lists[1] = certs.middle.pem;
    tls.ca_pem = both = joined(lists);
    CHECK(start(&certs.server));
    CHECK_OPENED(dial(&tls), true);
    TLS_END();
    free(both);
    if (!test_begin("authorities: an intermediate alone, for a server"))
        return;
    server = with(&certs.server);
    server.ca_pem = certs.middle.pem;
    below = certs_client("carol", 0, &certs.middle);
    CHECK(start_server(&server));
    tls = with(&below);
    tls.ca_pem = certs.ca.pem;
    CHECK_OPENED(dial(&tls), true);
    tls = with(&certs.alice); /* of the root */
    tls.ca_pem = certs.ca.pem;
    (void)dial(&tls);
    UNTIL(net.opened == 1 && tls_clients[1].conn == NULL);
    CHECK_EQ(net.opened, 1);
    TLS_END();
    certs_free(&below);
}

/* A certificate whose kind of key nobody knows: EC's identifier, with another last number. */
static char *unknown_key(const cert *of) {
    static const unsigned char ec[] = {0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01};
    unsigned char *der = NULL;
    int size = i2d_X509(of->x509, &der), at;
    BIO *bio = BIO_new(BIO_s_mem());
    for (at = 0; at + (int)sizeof ec < size && memcmp(der + at, ec, sizeof ec) != 0; at++) {}
    certs_need(size > 0 && at + (int)sizeof ec < size);
    der[at + (int)sizeof ec - 1] = 0x7f;
    certs_need(PEM_write_bio(bio, PEM_STRING_X509, "", der, size) > 0);
    OPENSSL_free(der);
    return certs_text(bio);
}

static void test_unusable(void) {
    static const char noise[] = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";
    static const char comment[] = "# of a bundle\n";
    char *odd = unknown_key(&certs.unknown_ca);
    const char *const lists[][5] = {
        {odd, certs.ca.pem, NULL}, {certs.ca.pem, odd, NULL}, {certs.unknown_ca.pem, odd, odd, certs.ca.pem, NULL},
        {noise, certs.ca.pem, NULL}, {certs.ca.pem, noise, comment, NULL}, {comment, noise, odd, certs.ca.pem, NULL},
        {odd, NULL}, {noise, odd, NULL}, {comment, NULL}};
    size_t i;
    for (i = 0; i < COUNT(lists); i++) {
        bool good = i < 6;
        ws_tls_config tls, server;
        char *all;
        tls_client *c;
        if (!test_begin("authorities: a list with unusable certificates, %zu", i))
            continue;
        all = joined(lists[i]);
        CHECK(start(&certs.server));
        memset(&tls, 0, sizeof tls);
        tls.ca_file = certs_file("list.pem", all);
        c = dial(&tls);
        CHECK_OPENED(c, good);
        if (!good)
            CHECK_EQ(c->error, WS_ERROR_TLS);
        if (!good)
            CHECK_TOLD(c, "list.pem");
        TLS_END();
        server = with(&certs.server);
        server.ca_pem = all;
        CHECK_EQ(start_server(&server), good);
        if (good) {
            tls = with(&certs.alice);
            tls.ca_pem = certs.ca.pem;
            CHECK_OPENED(dial(&tls), true);
        }
        TLS_END();
        free(all);
    }
    free(odd);
}

/* A truncated list is an error, not a smaller list: its disk may have been full. */
static void test_broken_list(void) {
    const char *lists[3];
    ws_tls_config tls;
    char *all;
    tls_client *c;
    if (!test_begin("authorities: a truncated list"))
        return;
    lists[0] = certs.ca.pem;
    lists[1] = certs.unknown_ca.pem;
    lists[2] = NULL;
    all = joined(lists);
    all[strlen(all) - 60] = 0;
    CHECK(start(&certs.server));
    memset(&tls, 0, sizeof tls);
    tls.ca_pem = all;
    c = dial(&tls);
    CHECK_OPENED(c, false);
    CHECK_EQ(c->error, WS_ERROR_TLS);
    TLS_END();
    free(all);
}

/* --- contexts: what they cost --- */

/* The same config in other memory, with other padding. */
static ws_tls_config copied(const ws_tls_config *from, char texts[8][4000]) {
    const char *all[8];
    ws_tls_config tls;
    size_t i;
    memset(&tls, 0xa5, sizeof tls);
    all[0] = from->cert_file, all[1] = from->key_file, all[2] = from->cert_pem, all[3] = from->key_pem;
    all[4] = from->ca_file, all[5] = from->ca_pem, all[6] = from->crl_file, all[7] = from->server_name;
    for (i = 0; i < 8; i++) {
        if (all[i])
            (void)snprintf(texts[i], 4000, "%s", all[i]);
        all[i] = all[i] ? texts[i] : NULL;
    }
    tls.cert_file = all[0], tls.key_file = all[1], tls.cert_pem = all[2], tls.key_pem = all[3];
    tls.ca_file = all[4], tls.ca_pem = all[5], tls.crl_file = all[6], tls.server_name = all[7];
    tls.client_cert_optional = from->client_cert_optional;
    tls.accept_any_certificate = from->accept_any_certificate;
    tls.ssl_ctx = from->ssl_ctx;
    return tls;
}

static void test_sharing(void) {
    static char texts[8][4000];
    ws_tls_config tls, other;
    int i;
    if (!test_begin("contexts: equal configs share one, whatever their padding holds"))
        return;
    CHECK(start(&certs.server));
    tls = with(&certs.alice);
    tls.ca_file = certs_file("ca.pem", certs.ca.pem);
    tls.crl_file = certs_file("crl.pem", certs.crl_pem);
    for (i = 0; i < 20; i++) {
        other = copied(&tls, texts);
        CHECK_OPENED(dial(&other), true);
        memset(texts, 'x', sizeof texts);
    }
    CHECK_EQ(contexts, 1);
    CHECK_EQ(roots, 0);
    TLS_END();
    memset(&tls, 0, sizeof tls); /* the default, written with care or without */
    CHECK(start(&certs.server));
    for (i = 0; i < 20; i++) {
        other = copied(&tls, texts);
        CHECK_OPENED(i % 2 ? dial(&tls) : dial(&other), false); /* the system does not know our CA */
    }
    CHECK_EQ(contexts, 1);
    CHECK_EQ(roots, 1);
    TLS_END();
}

#if defined(_WIN32)
/* A store with our CA, for these uses, which end with NULL. Without a first one: for all. */
static HCERTSTORE store_for(char *const *uses) {
    HCERTSTORE store = CertOpenStore(CERT_STORE_PROV_MEMORY, 0, 0, 0, NULL);
    const CERT_CONTEXT *root = NULL;
    unsigned char *der = NULL;
    int size = i2d_X509(certs.ca.x509, &der);
    CHECK(store && size > 0 && CertAddEncodedCertificateToStore(store, X509_ASN_ENCODING, der, (DWORD)size,
                                                                CERT_STORE_ADD_ALWAYS, &root));
    for (; *uses; uses++)
        CHECK(CertAddEnhancedKeyUsageIdentifier(root, *uses));
    CertFreeCertificateContext(root);
    OPENSSL_free(der);
    return store;
}

static void test_uses(void) {
    static char servers[] = szOID_PKIX_KP_SERVER_AUTH, code[] = szOID_PKIX_KP_CODE_SIGNING;
    static char mail[] = szOID_PKIX_KP_EMAIL_PROTECTION;
    static char *const cases[][4] = {{NULL}, {servers}, {code}, {code, servers}, {mail, code}, {mail, servers, code}};
    ws_tls_config tls;
    memset(&tls, 0, sizeof tls);
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (!test_begin("a root of Windows for uses of which servers are one, or not: %zu", i))
            continue;
        own_roots = store_for(cases[i]);
        CHECK(start(&certs.server));
        CHECK_OPENED(dial(&tls), i != 2 && i != 4);
        CHECK_EQ(roots, 1);
        TLS_END();
        CHECK(CertCloseStore(own_roots, 0));
        own_roots = NULL;
    }
}
#else
static void test_uses(void) {}
#endif

/* Each field by itself makes another config, except names, which belong to each connection. */
static void test_different(void) {
    ws_tls_config all[10];
    SSL_CTX *own;
    size_t i;
    if (!test_begin("contexts: any other field makes another, but for server_name"))
        return;
    own = SSL_CTX_new(TLS_client_method());
    certs_need(own && X509_STORE_add_cert(SSL_CTX_get_cert_store(own), certs.ca.x509) == 1);
    for (i = 0; i < COUNT(all); i++) {
        memset(&all[i], 0, sizeof all[i]);
        all[i].ca_pem = certs.ca.pem;
    }
    all[1].ca_pem = NULL, all[1].ca_file = certs_file("ca.pem", certs.ca.pem);
    all[2].crl_file = certs_file("crl.pem", certs.crl_pem);
    all[3].cert_pem = certs.alice.pem, all[3].key_pem = certs.alice.key_pem;
    all[4].cert_file = certs_file("alice.pem", certs.alice.pem), all[4].key_pem = certs.alice.key_pem;
    all[5].cert_pem = certs.alice.pem, all[5].key_file = certs_file("alice.key", certs.alice.key_pem);
    all[6].accept_any_certificate = true;
    all[7].ca_pem = NULL, all[7].ssl_ctx = own;
    all[8].server_name = "localhost";
    all[9].server_name = "host.test";
    CHECK(start(&certs.server));
    for (i = 0; i < 2 * COUNT(all); i++)
        CHECK_OPENED(dial(&all[i % COUNT(all)]), true);
    CHECK_EQ(contexts, 7); /* 0 with 8 and 9; 1 to 6; 7 is the program's */
    all[9].server_name = "other.test";
    CHECK_OPENED(dial(&all[9]), false);
    CHECK_OPENED(dial(&all[6]), true); /* a config that accepts any certificate weakens no other */
    all[9].server_name = NULL;
    all[9].ca_pem = certs.unknown_ca.pem;
    CHECK_OPENED(dial(&all[9]), false);
    CHECK_EQ(contexts, 8);
    TLS_END();
    SSL_CTX_free(own);
}

/* A client that begins after the last one has ended reuses what that read; of many configs a few are kept. */
static void test_one_after_the_other(void) {
    ws_tls_config tls, many[8];
    cert others[8];
    tls_client *c;
    size_t i;
    if (!test_begin("contexts: one client after the other reads the authorities once"))
        return;
    memset(&tls, 0, sizeof tls);
    tls.ca_pem = certs.ca.pem;
    CHECK(start(&certs.server));
    for (i = 0; i < 10; i++) {
        c = dial(&tls);
        CHECK_OPENED(c, true);
        (void)ws_close(c->conn, 1000, NULL);
        UNTIL(c->closed);
    }
    CHECK_EQ(contexts, 1);
    c = dial(&tls); /* this client stays, and keeps its context */
    for (i = 0; i < COUNT(many); i++) {
        others[i] = certs_ca("Another CA", NULL);
        many[i] = tls;
        many[i].ca_pem = others[i].pem;
        CHECK_OPENED(dial(&many[i]), false);
    }
    CHECK_EQ(contexts, 9);
    CHECK_OPENED(dial(&tls), true); /* in use: shared */
    CHECK_OPENED(dial(&many[7]), false); /* the four newest unused ones are kept */
    CHECK_OPENED(dial(&many[4]), false);
    CHECK_EQ(contexts, 9);
    CHECK_OPENED(dial(&many[3]), false); /* and older ones are not */
    CHECK_EQ(contexts, 10);
    (void)ws_close(c->conn, 1000, NULL);
    UNTIL(c->closed);
    TLS_END();
    for (i = 0; i < COUNT(many); i++)
        certs_free(&others[i]);
}

/* A renewed certificate, or another CA, counts from the next ws_dial on, though others still use the old one. */
static void test_changed_file(void) {
    ws_tls_config tls;
    tls_client *c, *old;
    if (!test_begin("contexts: a file that has changed is read again"))
        return;
    memset(&tls, 0, sizeof tls);
    tls.ca_file = certs_file("changing.pem", certs.ca.pem);
    CHECK(start(&certs.server));
    old = dial(&tls);
    CHECK_OPENED(old, true);
    (void)certs_file("changing.pem", certs.unknown_ca.pem);
    c = dial(&tls);
    CHECK_OPENED(c, false);
    CHECK_EQ(c->error, WS_ERROR_CERTIFICATE);
    (void)certs_file("changing.pem", NULL); /* it is removed */
    c = dial(&tls);
    CHECK_OPENED(c, false);
    CHECK_EQ(c->error, WS_ERROR_TLS);
    CHECK_TOLD(c, "changing.pem");
    (void)certs_file("changing.pem", certs.ca.pem);
    CHECK_OPENED(dial(&tls), true);
    CHECK(old->conn && !old->closed);
    TLS_END();
}

static unsigned unusable; /* how often the trace said that the changed file cannot be used */

#ifndef WS_NO_TRACE
static void note_unusable(const ws_trace_event *event, void *user) {
    (void)user;
    unusable += event->kind == WS_TRACE_TLS_FAILED && event->conn && strstr(event->text, "changing.pem") != NULL
                && !event->status && !event->size;
}

static void trace_unusable(ws_loop_config *config) { config->trace = note_unusable; }
#else
static void trace_unusable(ws_loop_config *config) { (void)config; }
#endif

/* A client that reconnects takes the files as they are then; what cannot be used changes nothing. */
static void test_changed_before_reconnect(void) {
    ws_client_config config;
    ws_server_config server;
    ws_loop_config loop;
    tls_client *c;
    if (!test_begin("contexts: a client that reconnects reads a file that has changed"))
        return;
    memset(&config, 0, sizeof config);
    memset(&server, 0, sizeof server);
    memset(&loop, 0, sizeof loop);
    server.tls = with(&certs.server);
    trace_unusable(&loop);
    config.tls.ca_file = certs_file("changing.pem", certs.unknown_ca.pem);
    config.reconnect_ms = config.reconnect_max_ms = 100;
    CHECK(net_start_with(&loop, &server));
    contexts = unusable = 0;
    c = tls_dial_port("wss", ws_port(net.server), &config);
    c->again = true;
    UNTIL(c->errors == 1);
    CHECK_EQ(c->error, WS_ERROR_CERTIFICATE);
    CHECK_EQ(unusable, 0);
    (void)certs_file("changing.pem", "half a file"); /* as if it were being written */
    net.now += 101;
    UNTIL(c->errors == 2);
    CHECK_EQ(c->error, WS_ERROR_CERTIFICATE);
    CHECK(!tls_says(c->why, "changing.pem"));
    CHECK_EQ(unusable, !TEST_SMALL);
    (void)certs_file("changing.pem", certs.ca.pem);
    net.now += 101;
    UNTIL(c->opened == 1);
    CHECK_EQ(contexts, 3);
    (void)certs_file("changing.pem", NULL);
    ws_drop(net.conns[1]); /* what was read last is kept */
    UNTIL(c->closed == 1);
    net.now += 101;
    UNTIL(c->opened == 2);
    CHECK_EQ(c->errors, 2);
    CHECK(!tls_says(ws_last_error_text(c->conn), "changing.pem"));
    (void)ws_close(c->conn, 1000, NULL);
    UNTIL(c->closed == 2);
    TLS_END();
}

/* The context was made for another client, so this one has no transport yet when the file cannot be read any more. */
static void test_changed_before_redirect(void) {
    ws_tls_config tls;
    tls_client *c, *other;
    char text[100];
    peer *p;
    if (!test_begin("contexts: a redirect to wss: after the shared context's file became unusable"))
        return;
    memset(&tls, 0, sizeof tls);
    tls.ca_file = certs_file("changing.pem", certs.ca.pem);
    CHECK(start(&certs.server));
    other = dial(&tls);
    CHECK_OPENED(other, true);
    c = dial_as("ws", tls_port(), &tls);
    p = tls_accept_plain();
    (void)certs_file("changing.pem", "half a file");
    (void)raw_head(p);
    (void)snprintf(text, sizeof text, "HTTP/1.1 302 There\r\nLocation: wss://127.0.0.1:%u/\r\n\r\n",
                   (unsigned)ws_port(net.server));
    peer_text(p, text);
    UNTIL(c->opened || c->errors);
    CHECK_OPENED(c, true);
    (void)ws_close(c->conn, 1000, NULL);
    (void)ws_close(other->conn, 1000, NULL);
    UNTIL(c->closed && other->closed);
    TLS_END();
}

static void test_nothing_verified(void) {
    ws_tls_config tls;
    if (!test_begin("contexts: a client that accepts any certificate reads no roots"))
        return;
    memset(&tls, 0, sizeof tls);
    tls.accept_any_certificate = true;
    CHECK(start(&certs.stranger));
    CHECK_OPENED(dial(&tls), true);
    CHECK_EQ(contexts, 1);
    CHECK_EQ(roots, 0);
    TLS_END();
}

/* A ws: server that redirects its client to wss: on this port. */
static void send_on(uint16_t port) {
    char text[200];
    peer *p = tls_accept_plain();
    UNTIL(p->in.size > 4 && memcmp(p->in.data + p->in.size - 4, "\r\n\r\n", 4) == 0);
    (void)snprintf(text, sizeof text, "HTTP/1.1 302 Found\r\nLocation: wss://127.0.0.1:%u/\r\n"
                   "Content-Length: 0\r\n\r\n", (unsigned)port);
    CHECK_EQ(peer_send(p, text, strlen(text)), strlen(text));
}

/* A ws: URL needs no context: none is made, and bad files are no error; a redirect may need one. */
static void test_plain(void) {
    static char texts[8][4000];
    ws_tls_config tls, bad;
    tls_client *c;
    int i;
    if (!test_begin("contexts: none for ws:, whatever its config says"))
        return;
    CHECK(start_server(NULL));
    contexts = roots = 0;
    memset(&bad, 0, sizeof bad);
    bad.ca_file = certs_file("absent.pem", NULL);
    for (i = 0; i < 2; i++) {
        c = dial_as("ws", ws_port(net.server), &bad);
        UNTIL(c->opened || c->errors);
        CHECK_OPENED(c, true);
    }
    CHECK_EQ(contexts, 0);
    TLS_END();
    for (i = 0; i < 4; i++) {
        SSL_CTX *own = NULL;
        if (!test_begin("contexts: from ws: to wss: with %s", i == 0 ? "a CA" : i == 1 ? "a CA that is not there"
                        : i == 2 ? "nothing" : "a context of the program's"))
            continue;
        CHECK(start(&certs.server));
        memset(&tls, 0, sizeof tls);
        if (i == 0)
            tls.ca_pem = certs.ca.pem;
        else if (i == 1)
            tls = bad;
        if (i == 3) {
            tls.ssl_ctx = own = SSL_CTX_new(TLS_client_method());
            certs_need(own && X509_STORE_add_cert(SSL_CTX_get_cert_store(own), certs.ca.x509) == 1);
        }
        tls = copied(&tls, texts);
        c = dial_as("ws", tls_port(), &tls);
        memset(texts, 'x', sizeof texts); /* what is needed later was copied */
        SSL_CTX_free(own);
        CHECK_EQ(contexts, 0);
        send_on(ws_port(net.server));
        UNTIL(c->opened || c->errors);
        CHECK_OPENED(c, i == 0 || i == 3);
        CHECK_EQ(contexts, i < 3);
        CHECK_EQ(roots, i == 2);
        if (i == 1) {
            CHECK_EQ(c->error, WS_ERROR_TLS);
            CHECK_TOLD(c, "absent.pem");
        }
        TLS_END();
    }
}

/* --- the system's policy: in a process of its own, which reads another openssl.cnf --- */

enum { POLICIES = 4 };

static const struct {
    const char *name, *config;
    int least; /* 0: OpenSSL cannot be set up */
} policies[POLICIES] = {
    {"TLS 1.3 at least", "MinProtocol = TLSv1.3\n", TLS1_3_VERSION},
    {"TLS 1.2 at least", "MinProtocol = TLSv1.2\n", TLS1_2_VERSION},
    {"TLS 1.0 at least", "MinProtocol = TLSv1\nCipherString = DEFAULT:@SECLEVEL=0\n", TLS1_2_VERSION},
    {"no providers", NULL, 0}};

/* Whether a peer that speaks this version alone can connect. */
static void check_version(int version, bool good) {
    ws_tls_config tls;
    tls_client *c;
    peer *r = tls_connect(0);
    SSL_set_security_level(r->tls->ssl, 0);
    tls_versions(r, version);
    CHECK_EQ(tls_upgrade(r) == 101, good);
    memset(&tls, 0, sizeof tls);
    tls.ca_pem = certs.ca.pem;
    c = dial_as("wss", tls_port(), &tls);
    r = tls_accept(&certs.server);
    SSL_set_security_level(r->tls->ssl, 0);
    tls_versions(r, version);
    CHECK_EQ(tls_answer(r), good);
    UNTIL(c->opened || c->errors);
    CHECK_OPENED(c, good);
    if (!good)
        CHECK_TOLD(c, "version");
}

static void policy_child(int which) {
    (void)test_begin("policy: %s", policies[which].name);
    if (!policies[which].least) { /* certificates cannot even be made: any text will do */
        ws_tls_config tls;
        memset(&tls, 0, sizeof tls);
        tls.cert_pem = tls.key_pem = "-----BEGIN CERTIFICATE-----\n";
        CHECK(!start_server(&tls));
        CHECK_EQ(ws_loop_error(net.loop), WS_ERROR_TLS);
        CHECK_SAYS(ws_loop_error_text(net.loop), NET_DETAIL("configuration"));
        CHECK(!tls_says(ws_loop_error_text(net.loop), "memory"));
        printf("%s\n", ws_loop_error_text(net.loop));
        TLS_END();
        return;
    }
    certs_start();
    CHECK(start(&certs.server));
    check_version(TLS1_1_VERSION, false);
    check_version(TLS1_2_VERSION, policies[which].least <= TLS1_2_VERSION);
    check_version(TLS1_3_VERSION, true);
    TLS_END();
    certs_end();
}

static void test_policy(int which, const char *program) {
    static const char head[] = "openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = policy\n[policy]\n";
    static const char none[] = "openssl_conf = all\n[all]\nproviders = them\n[them]\nnull = one\n[one]\nactivate = 1\n";
    char text[500], number[2] = {(char)('0' + which), 0};
    const char *path;
    int status = 1;
    pid_t child;
    if (!test_begin("policy: the system asks for %s", policies[which].name) || !test_posix("a child process"))
        return;
#if OPENSSL_VERSION_NUMBER < 0x30000000L
    if (!policies[which].config) {
        test_skip("OpenSSL 1.1.1 has no providers");
        return;
    }
#endif
    (void)snprintf(text, sizeof text, "%s%s", policies[which].config ? head : none,
                   policies[which].config ? policies[which].config : "");
    path = certs_file("openssl.cnf", text);
    child = fork();
    if (child == 0) {
        (void)setenv("OPENSSL_CONF", path, 1);
        (void)execl(program, program, "--policy", number, (char *)NULL);
        _exit(3);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(int argc, char **argv) {
    int i;
    if (argc == 3 && strcmp(argv[1], "--policy") == 0) {
        test_start(1, argv);
        policy_child(argv[2][0] - '0');
        test_end();
        return test_now.failed ? 1 : 0;
    }
    test_start(argc, argv);
    certs_start();
    test_subject();
    test_partial_chain();
    test_unusable();
    test_broken_list();
    test_sharing();
    test_uses();
    test_different();
    test_one_after_the_other();
    test_changed_file();
    test_changed_before_reconnect();
    test_changed_before_redirect();
    test_nothing_verified();
    test_plain();
    for (i = 0; i < POLICIES; i++)
        test_policy(i, argv[0]);
    certs_end();
    return test_finish();
}

#endif
