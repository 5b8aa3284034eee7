/* TLS: certificates of servers and clients, what is not trusted, configs that are wrong. */
#define WS_IMPLEMENTATION
#include "../../ws.h"

#ifdef WS_NO_TLS

#include "../helpers/test.h"

int main(int argc, char **argv) {
    test_start(argc, argv);
    (void)test_begin("TLS certificates");
    test_skip("built with WS_NO_TLS");
    return test_finish();
}

#else

#include "../helpers/tls_start.h"

/* --- certificates of a server --- */

static void peer_name(const peer *r, char *name, size_t size) {
    X509 *x509 = SSL_get_peer_certificate(r->tls->ssl);
    name[0] = 0;
    if (x509)
        (void)X509_NAME_get_text_by_NID(X509_get_subject_name(x509), NID_commonName, name, (int)size);
    X509_free(x509);
}

static void test_reload(void) {
    ws_tls_config tls, renewed, bad;
    const char *absent;
    char name[100];
    peer *old, *r;
    if (!test_begin("a new certificate is used for new connections, old ones stay open; a bad one changes nothing"))
        return;
    CHECK(start());
    old = tls_open();
    peer_name(old, name, sizeof name);
    CHECK_STR(name, "server");
    renewed = with(&certs.renewed);
    CHECK(ws_server_tls(net.server, &renewed));
    r = tls_open();
    peer_name(r, name, sizeof name);
    CHECK_STR(name, "renewed");
    CHECK(peer_echo(old, "old") && peer_echo(r, "new"));
    absent = certs_file("absent.pem", NULL);
    memset(&bad, 0, sizeof bad);
    bad.cert_file = absent;
    bad.key_file = absent;
    CHECK(!ws_server_tls(net.server, &bad));
    CHECK_SAYS(ws_loop_error_text(net.loop), DETAIL(WS_ERROR_TLS, absent));
    CHECK_EQ(ws_loop_error(net.loop), WS_OK);
    bad = with(&certs.server);
    bad.key_pem = certs.ip.key_pem;
    CHECK(!ws_server_tls(net.server, &bad));
    CHECK_SAYS(ws_loop_error_text(net.loop), DETAIL(WS_ERROR_TLS, "key"));
    memset(&bad, 0, sizeof bad);
    CHECK(!ws_server_tls(net.server, &bad));
    CHECK(!ws_server_tls(net.server, NULL));
    CHECK(!ws_server_tls(NULL, &renewed));
    CHECK_EQ(ws_loop_error(net.loop), WS_OK);
    CHECK(ws_run_once(net.loop, 0)); /* the loop has not failed */
    r = tls_open();
    peer_name(r, name, sizeof name);
    CHECK_STR(name, "renewed");
    CHECK(peer_echo(old, "old"));
    tls = with(&certs.server);
    tls.cert_pem = tls.key_pem = NULL;
    tls.cert_file = certs_file("cert.pem", certs.server.pem);
    tls.key_file = certs_file("key.pem", certs.server.key_pem);
    CHECK(ws_server_tls(net.server, &tls)); /* from files, as a program does it */
    r = tls_open();
    peer_name(r, name, sizeof name);
    CHECK_STR(name, "server");
    CHECK(serves());
    TLS_END();
}

static void reload_inside(ws_conn *conn, unsigned number, ws_message message) {
    ws_tls_config tls = with(number % 2 ? &certs.renewed : &certs.server);
    (void)message;
    CHECK(ws_server_tls(ws_conn_server(conn), &tls));
    (void)ws_send(conn, message);
}

static void test_reload_inside(void) {
    peer *half;
    if (!test_begin("a new certificate from inside a callback, while another handshake is half done"))
        return;
    CHECK(start());
    net.on_message = reload_inside;
    half = tls_connect(0);
    half->tls->piece = 100;
    (void)net_round(0);
    (void)net_round(0);
    CHECK(serves() && serves() && serves());
    half->tls->piece = 0;
    CHECK_EQ(tls_upgrade(half), 101);
    CHECK(peer_echo(half, "half"));
    TLS_END();
}

static void test_files(void) {
    ws_tls_config tls;
    ws_client_config config;
    tls_client *c;
    if (!test_begin("certificate, key, CA and CRL from files"))
        return;
    memset(&tls, 0, sizeof tls);
    tls.cert_file = certs_file("cert.pem", certs.server.pem);
    tls.key_file = certs_file("key.pem", certs.server.key_pem);
    CHECK(start_server(&tls, NULL));
    memset(&config, 0, sizeof config);
    config.tls.ca_file = certs_file("ca.pem", certs.ca.pem);
    config.tls.crl_file = certs_file("crl.pem", certs.crl_pem);
    c = dial(&config);
    UNTIL(c->opened || c->errors);
    CHECK_EQ(c->opened, 1);
    if (c->errors)
        printf("    %s\n", c->why);
    CHECK_STR(c->certificate, "CN=server");
    TLS_END();
}

/* The chain is sent, so that a client that knows the root alone can verify it. */
static void test_chain(void) {
    X509_STORE *store;
    peer *r;
    if (!test_begin("the server sends its intermediate"))
        return;
    CHECK(start());
    r = tls_connect(0);
    store = SSL_CTX_get_cert_store(r->tls->context);
    CHECK(X509_STORE_add_cert(store, certs.ca.x509) == 1);
    SSL_set_verify(r->tls->ssl, SSL_VERIFY_PEER, NULL);
    CHECK(SSL_set1_host(r->tls->ssl, "localhost") == 1);
    CHECK_EQ(tls_upgrade(r), 101);
    TLS_END();
}

static uint8_t pinned[32];

/* The server's own certificate must have that key, whoever signed it. */
static int pin(int good, X509_STORE_CTX *store) {
    uint8_t digest[32];
    unsigned size = sizeof digest;
    if (!good || X509_STORE_CTX_get_error_depth(store) != 0)
        return good;
    return X509_pubkey_digest(X509_STORE_CTX_get_current_cert(store), EVP_sha256(), digest, &size) == 1
           && memcmp(digest, pinned, sizeof digest) == 0;
}

/* A user's own SSL_CTX on both sides; verification by it still includes the host. */
static void test_own_contexts(void) {
    SSL_CTX *server = own_context(&certs.server, TLS1_3_VERSION), *other = own_context(NULL, TLS1_3_VERSION);
    ws_client_config config;
    ws_tls_config tls;
    tls_client *c;
    if (test_begin("a user's own SSL_CTX, on both sides")) {
        memset(&tls, 0, sizeof tls);
        memset(&config, 0, sizeof config);
        SSL_CTX_set_verify(other, SSL_VERIFY_PEER, NULL);
        certs_need(X509_STORE_add_cert(SSL_CTX_get_cert_store(other), certs.ca.x509) == 1);
        tls.ssl_ctx = server;
        CHECK(start_server(&tls, NULL));
        config.tls.ssl_ctx = other;
        c = dial(&config);
        UNTIL(c->opened || c->errors);
        CHECK_EQ(c->opened, 1);
        c = dial(&config);
        UNTIL(c->opened || c->errors);
        CHECK_EQ(c->opened, 1);
        config.tls.server_name = "elsewhere.test";
        c = dial(&config);
        UNTIL(c->opened || c->errors);
        CHECK_EQ(c->errors, 1);
        CHECK_EQ(c->error, WS_ERROR_CERTIFICATE);
        CHECK_TOLD(c, "elsewhere.test");
        TLS_END();
    }
    if (test_begin("a client's own SSL_CTX pins the server's key")) {
        unsigned size = 0;
        memset(&tls, 0, sizeof tls);
        memset(&config, 0, sizeof config);
        SSL_CTX_set_verify(other, SSL_VERIFY_PEER, pin);
        (void)X509_STORE_add_cert(SSL_CTX_get_cert_store(other), certs.ca.x509);
        certs_need(X509_pubkey_digest(certs.server.x509, EVP_sha256(), pinned, &size) == 1 && size == sizeof pinned);
        tls.ssl_ctx = server;
        CHECK(start_server(&tls, NULL));
        config.tls.ssl_ctx = other;
        c = dial(&config);
        UNTIL(c->opened || c->errors);
        CHECK_EQ(c->opened, 1);
        pinned[31] ^= 1;
        c = dial(&config);
        UNTIL(c->opened || c->errors);
        CHECK_EQ(c->errors, 1);
        CHECK_EQ(c->error, WS_ERROR_CERTIFICATE);
        TLS_END();
    }
    SSL_CTX_free(server);
    SSL_CTX_free(other);
}

/* --- client certificates --- */

static bool start_mtls(bool optional) {
    ws_tls_config tls = with(&certs.server);
    bool good;
    tls.ca_pem = certs.ca.pem;
    tls.client_cert_optional = optional;
    good = start_server(&tls, NULL);
    seen_certificate[0] = 0;
    net.on_open = note_certificate;
    return good;
}

static tls_client *dial_as(const cert *own) {
    ws_client_config config = trusting();
    tls_client *c;
    if (own) {
        config.tls.cert_pem = own->pem;
        config.tls.key_pem = own->key_pem;
    }
    c = dial(&config);
    UNTIL(c->opened || c->errors);
    return c;
}

static const struct {
    const char *name;
    const cert *own;
    bool optional;
    const char *seen; /* NULL: refused */
} visitors[] = {
    {"alice", &certs.alice, false, "CN=alice,O=Example"},
    {"alice", &certs.alice, true, "CN=alice,O=Example"},
    {"nobody", NULL, true, "none"},
    {"nobody", NULL, false, NULL},
    {"one of an unknown CA", &certs.foreign, false, NULL},
    {"one of an unknown CA", &certs.foreign, true, NULL},
    {"one who signed itself", &certs.self_signed, false, NULL},
    {"one with an expired certificate", &certs.expired, false, NULL},
    {"one with a server's certificate", &certs.ip, false, NULL}};

static void test_visitors(void) {
    size_t i;
    for (i = 0; i < sizeof visitors / sizeof *visitors; i++) {
        tls_client *c;
        if (!test_begin("client certificate %s: %s", visitors[i].optional ? "optional" : "required", visitors[i].name))
            continue;
        CHECK(start_mtls(visitors[i].optional));
        c = dial_as(visitors[i].own);
        CHECK_EQ(c->opened, visitors[i].seen != NULL);
        if (visitors[i].seen) {
            CHECK_STR(seen_certificate, visitors[i].seen);
        } else {
            CHECK_EQ(net.opened, 0);
            CHECK_EQ(c->error, WS_ERROR_TLS);
            CHECK_TOLD(c, "certificate");
            CHECK_TOLD(c, "127.0.0.1");
        }
        TLS_END();
    }
}

static const char *led_to;

static void lead_on(ws_request *request) {
    const char *lines[] = {led_to, NULL};
    (void)ws_refuse(request, 307, lines, NULL);
}

/* A context of the program's own, which chooses its certificate in the handshake. */
static int shows_alice(SSL *ssl, void *user) {
    BIO *pem = BIO_new_mem_buf(certs.alice.pem, -1), *key_pem = BIO_new_mem_buf(certs.alice.key_pem, -1);
    X509 *certificate = PEM_read_bio_X509(pem, NULL, NULL, NULL);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(key_pem, NULL, NULL, NULL);
    int good = SSL_use_certificate(ssl, certificate) == 1 && SSL_use_PrivateKey(ssl, key) == 1;
    (void)user;
    X509_free(certificate);
    EVP_PKEY_free(key);
    BIO_free(pem);
    BIO_free(key_pem);
    return good;
}

/* A certificate says who the client is: that is for the server that the URL names, and for no other. */
static void test_led_visitors(void) {
    static const char *const led[] = {"127.0.0.1", "localhost"};
    size_t row;
    for (row = 0; row < 4; row++) {
        size_t i = row % 2;
        SSL_CTX *own = NULL;
        ws_handler handler = net_handler();
        ws_client_config config = trusting();
        char url[100], location[100];
        tls_client *c;
        if (!test_begin("client certificate%s: a redirect to %s host %s it", row < 2 ? "" : " of a callback",
                        i ? "another" : "the same", i ? "does not show" : "shows"))
            continue;
        CHECK(start_mtls(true));
        (void)snprintf(url, sizeof url, "wss://127.0.0.1:%u/old", (unsigned)ws_port(net.server));
        (void)snprintf(location, sizeof location, "Location: wss://%s:%u/", led[i], (unsigned)ws_port(net.server));
        led_to = location;
        handler.on_request = lead_on;
        CHECK(ws_route(net.server, "/old", &handler));
        if (row >= 2) {
            memset(&config.tls, 0, sizeof config.tls);
            config.tls.ssl_ctx = own = SSL_CTX_new(TLS_client_method());
            config.tls.accept_any_certificate = true;
            SSL_CTX_set_cert_cb(own, shows_alice, NULL);
        } else {
            config.tls.cert_pem = certs.alice.pem;
            config.tls.key_pem = certs.alice.key_pem;
        }
        c = tls_dial(url, &config);
        UNTIL(c->opened || c->errors);
        SSL_CTX_free(own);
        CHECK_EQ(c->opened, 1);
        CHECK_STR(seen_certificate, i ? "none" : "CN=alice,O=Example");
        TLS_END();
    }
}

/* The same over TLS 1.2, where the refusal comes within the handshake. */
static void test_refused_visitor_12(void) {
    tls_client *c;
    peer *r;
    if (!test_begin("client certificate required, TLS 1.2: a client without one is refused"))
        return;
    CHECK(start_mtls(false));
    r = tls_connect(0);
    tls_versions(r, TLS1_2_VERSION);
    CHECK_EQ(tls_upgrade(r), 0);
    CHECK(r->tls->failed);
    c = dial_as(&certs.alice);
    CHECK_EQ(c->opened, 1);
    TLS_END();
}

static void test_revoked_visitor(void) {
    ws_tls_config tls;
    tls_client *c;
    char *crl;
    BIO *bio;
    if (!test_begin("client certificate: a revoked one is refused"))
        return;
    bio = BIO_new(BIO_s_mem());
    certs_crl(bio, &certs.ca, &certs.alice, NULL);
    crl = certs_text(bio);
    tls = with(&certs.server);
    tls.ca_pem = certs.ca.pem;
    tls.crl_file = certs_file("alice.crl", crl);
    free(crl);
    CHECK(start_server(&tls, NULL));
    c = dial_as(&certs.alice);
    CHECK_EQ(c->errors, 1);
    CHECK_TOLD(c, "certificate");
    c = dial_as(&certs.odd);
    CHECK_EQ(c->opened, 1);
    TLS_END();
}

/* Undoes RFC 4514's escapes in the first value, up to its end. Returns its size; SIZE_MAX: a
   character is not escaped that must be. */
static size_t unescaped(const char *text, char *value) {
    size_t size = 0;
    const char *at;
    for (at = strchr(text, '=') + 1; *at && *at != ','; at++) {
        unsigned code;
        if (strchr("\"+;<>", *at) || (unsigned char)*at < ' ')
            return SIZE_MAX;
        if (*at != '\\') {
            value[size++] = *at;
        } else if (isxdigit((unsigned char)at[1]) && sscanf(at + 1, "%2x", &code) == 1) {
            value[size++] = (char)code;
            at += 2;
        } else {
            value[size++] = *++at;
        }
    }
    return strcmp(at, ",O=Example") == 0 ? size : SIZE_MAX;
}

static void test_odd_names(void) {
    char value[400];
    tls_client *c;
    if (!test_begin("client certificate: odd characters in its name are escaped"))
        return;
    CHECK(start_mtls(false));
    c = dial_as(&certs.odd);
    CHECK_EQ(c->opened, 1);
    CHECK(strncmp(seen_certificate, "CN=\\", 4) == 0); /* a leading # */
    CHECK_EQ(unescaped(seen_certificate, value), sizeof CERTS_ODD - 1);
    CHECK(memcmp(value, CERTS_ODD, sizeof CERTS_ODD - 1) == 0);
    c = dial_as(&certs.nul);
    CHECK_EQ(c->opened, 1);
    CHECK(strcmp(seen_certificate, "none") == 0 || strncmp(seen_certificate, "CN=alice\\00evil,", 16) == 0);
    TLS_END();
}

static void test_certificate_sizes(void) {
    static const char whole[] = "CN=alice,O=Example";
    char text[64];
    size_t size;
    tls_client *c;
    if (!test_begin("ws_peer_certificate: too small a buffer, no TLS, not verified"))
        return;
    CHECK(start_mtls(false));
    c = dial_as(&certs.alice);
    for (size = 0; size <= sizeof whole + 1; size++) {
        memset(text, 'x', sizeof text);
        CHECK_EQ(ws_peer_certificate(net.conns[1], text, size), size >= sizeof whole);
        CHECK(text[size] == 'x');
    }
    CHECK(!ws_peer_certificate(net.conns[1], NULL, 0) && !ws_peer_certificate(NULL, text, sizeof text));
    CHECK(ws_tls_session(NULL) == NULL);
    CHECK(ws_peer_certificate(c->conn, text, sizeof text));
    CHECK_STR(text, "CN=server");
    TLS_END();
    CHECK(net_start());
    (void)net_peer("/");
    CHECK(!ws_peer_certificate(net.conns[1], text, sizeof text) && ws_tls_session(net.conns[1]) == NULL);
    TLS_END();
}

/* --- bad input: what a client does not trust --- */

static const struct {
    const char *name;
    const cert *own;
    const char *server_name;
    bool crl;
    const char *says; /* NULL: it is accepted */
} trials[] = {
    {"right host", &certs.server, "localhost", false, NULL},
    {"right host, in another case", &certs.server, "LocalHost", false, NULL},
    {"wrong host", &certs.wrong_host, "localhost", false, "localhost"},
    {"right IP", &certs.ip, NULL, false, NULL},
    {"wrong IP", &certs.wrong_ip, NULL, false, "127.0.0.1"},
    {"a host for an IP", &certs.wrong_host, "127.0.0.1", false, "127.0.0.1"},
    {"an IP for a host", &certs.ip, "localhost", false, "localhost"},
    {"wildcard, right", &certs.wildcard, "a.host.test", false, NULL},
    {"wildcard, one label less", &certs.wildcard, "host.test", false, "host.test"},
    {"wildcard, one label more", &certs.wildcard, "a.b.host.test", false, "a.b.host.test"},
    {"expired", &certs.expired, NULL, false, "expired"},
    {"not yet valid", &certs.future, NULL, false, "not yet valid"},
    {"self-signed", &certs.self_signed, NULL, false, "self-signed|self signed"},
    {"unknown CA", &certs.stranger, NULL, false, "unknown|issuer"},
    {"revoked, without a CRL", &certs.revoked, NULL, false, NULL},
    {"revoked", &certs.revoked, NULL, true, "revoked"},
    {"below a revoked intermediate", &certs.below_revoked, NULL, true, "revoked"},
    {"not revoked", &certs.server, NULL, true, NULL},
    {"a client's certificate", &certs.alice, NULL, false, "127.0.0.1"}};

enum { TRIALS = sizeof trials / sizeof *trials };

static char verdicts[TRIALS][1000];

static void test_trials(void) {
    size_t i;
    for (i = 0; i < TRIALS; i++) {
        ws_client_config config;
        ws_tls_config tls;
        tls_client *c;
        if (!test_begin("client: %s", trials[i].name))
            continue;
        tls = with(trials[i].own);
        CHECK(start_server(&tls, NULL));
        config = trusting();
        config.tls.server_name = trials[i].server_name;
        if (trials[i].crl)
            config.tls.crl_file = certs_file("crl.pem", certs.crl_pem);
        c = dial(&config);
        UNTIL(c->opened || c->errors);
        CHECK_EQ(c->opened, trials[i].says == NULL);
        if (trials[i].says) {
            CHECK_EQ(c->error, WS_ERROR_CERTIFICATE);
            CHECK_TOLD(c, trials[i].says);
            CHECK_TOLD(c, trials[i].server_name ? trials[i].server_name : "127.0.0.1");
            bool unknown = trials[i].own == &certs.self_signed || trials[i].own == &certs.stranger;
            CHECK_EQ(strstr(c->why, "(name its CA in tls.ca_file)") != NULL, unknown && !TEST_SMALL);
            (void)snprintf(verdicts[i], sizeof verdicts[i], "%s", c->why);
            (void)net_settle();
            CHECK_EQ(net.opened, 0);
        } else if (c->errors) {
            printf("    %s\n", c->why);
        }
        TLS_END();
    }
}

/* Revocation lists of CAs further up may be missing; that of the certificate's own issuer may not. */
static void test_lists(bool own_issuer) {
    ws_client_config config;
    tls_client *c;
    char *crl;
    BIO *bio;
    if (!test_begin("client: a CRL file with a list of %s alone", own_issuer ? "the issuer" : "the root"))
        return;
    bio = BIO_new(BIO_s_mem());
    certs_crl(bio, own_issuer ? &certs.middle : &certs.ca, NULL, NULL);
    crl = certs_text(bio);
    config = trusting();
    config.tls.crl_file = certs_file("one.crl", crl);
    free(crl);
    CHECK(start());
    c = dial(&config);
    UNTIL(c->opened || c->errors);
    CHECK_EQ(c->opened, own_issuer);
    if (own_issuer) {
        CHECK_STR(c->certificate, "CN=server"); /* verified, all the same */
        ws_drop(net.conns[1]);
        UNTIL(c->closed);
        CHECK_EQ(c->error, WS_ERROR_CLOSED);
    } else {
        CHECK_EQ(c->error, WS_ERROR_CERTIFICATE);
        CHECK_TOLD(c, "CRL|revo");
    }
    TLS_END();
}

static void test_any_certificate(void) {
    size_t i;
    for (i = 0; i < TRIALS; i++) {
        ws_client_config config;
        ws_tls_config tls;
        tls_client *c;
        if (!trials[i].says || !test_begin("client that accepts any certificate: %s", trials[i].name))
            continue;
        tls = with(trials[i].own);
        CHECK(start_server(&tls, NULL));
        memset(&config, 0, sizeof config);
        config.tls.accept_any_certificate = true;
        config.tls.server_name = trials[i].server_name;
        c = dial(&config);
        UNTIL(c->opened || c->errors);
        CHECK_EQ(c->opened, 1);
        CHECK_STR(c->certificate, ""); /* it is not verified */
        TLS_END();
    }
}

/* Adds the test's CA to the system's roots, or takes it away: where OpenSSL looks for them, or in the user's store. */
#if defined(_WIN32)
static void trust_system(bool on) {
    HCERTSTORE store = CertOpenStore(CERT_STORE_PROV_SYSTEM_REGISTRY_W, 0, 0, CERT_SYSTEM_STORE_CURRENT_USER, L"ROOT");
    unsigned char *der = NULL;
    int size = i2d_X509(certs.ca.x509, &der);
    const CERT_CONTEXT *mine = CertCreateCertificateContext(X509_ASN_ENCODING, der, (DWORD)size);
    if (on) {
        CHECK(CertAddCertificateContextToStore(store, mine, CERT_STORE_ADD_NEW, NULL));
    } else {
        const CERT_CONTEXT *found = CertFindCertificateInStore(store, X509_ASN_ENCODING, 0, CERT_FIND_EXISTING, mine,
                                                               NULL);
        CHECK(found && CertDeleteCertificateFromStore(found));
    }
    CHECK(CertFreeCertificateContext(mine) && CertCloseStore(store, 0));
    OPENSSL_free(der);
}
#else
static void trust_system(bool on) {
    if (on)
        (void)setenv("SSL_CERT_FILE", certs_file("ca.pem", certs.ca.pem), 1);
    else
        (void)unsetenv("SSL_CERT_FILE");
}
#endif

static void check_untrusted(void) {
    tls_client *c = dial(NULL);
    UNTIL(c->opened || c->errors);
    CHECK_EQ(c->opened, 0);
    CHECK_EQ(c->error, WS_ERROR_CERTIFICATE);
    CHECK_TOLD(c, "unknown|issuer");
}

/* The system's roots do not know the test's CA. */
static void test_system_roots(void) {
    tls_client *c;
    if (!test_begin("client: without a CA of its own the system's roots decide"))
        return;
    CHECK(start());
    check_untrusted();
    TLS_END();
    trust_system(true);
    CHECK(start());
    c = dial(NULL);
    UNTIL(c->opened || c->errors);
    CHECK_EQ(c->opened, 1);
    trust_system(false);
    TLS_END();
    CHECK(start());
    check_untrusted();
    TLS_END();
}

/* A client's config must not weaken that of another client. */
static void test_trust_is_own(void) {
    ws_client_config any, strict;
    tls_client *c;
    if (!test_begin("client: one that accepts any certificate does not weaken the next"))
        return;
    CHECK(start());
    memset(&any, 0, sizeof any);
    any.tls.accept_any_certificate = true;
    c = dial(&any);
    UNTIL(c->opened);
    strict = trusting();
    strict.tls.ca_pem = certs.unknown_ca.pem;
    c = dial(&strict);
    UNTIL(c->opened || c->errors);
    CHECK_EQ(c->errors, 1);
    CHECK_EQ(c->error, WS_ERROR_CERTIFICATE);
    CHECK_TOLD(c, "unknown|issuer");
    TLS_END();
}

/* --- bad input: configs --- */

enum { BAD_CONFIGS = 20 };

static char complaints[BAD_CONFIGS][1000];

/* Fills in a config, and returns a word that the error must contain; NULL: there are no more configs. */
static const char *bad_config(size_t i, ws_tls_config *tls, const char **name) {
    static char broken[400], locked[3000];
    const char *absent = certs_file("absent.pem", NULL), *other = certs_file("other-absent.pem", NULL);
    const char *noise = certs_file("noise.pem", "this is no PEM\n");
    const char *key_path = certs_file("key.pem", certs.server.key_pem);
    *tls = with(&certs.server);
    switch (i) {
    case 0:
        *name = "a key that belongs to another certificate";
        tls->key_pem = certs.ip.key_pem;
        return "holds a private key that does not belong to the certificate";
    case 1:
        *name = "a certificate file that is not there";
        tls->cert_pem = NULL;
        tls->cert_file = absent;
        return "/absent.pem cannot be read: No such file";
    case 2:
        *name = "a key file that is not there";
        tls->key_pem = NULL;
        tls->key_file = other;
        return "other-absent.pem";
    case 3:
        *name = "a folder for a certificate file";
        tls->cert_pem = NULL;
        tls->cert_file = certs.folder;
        return certs.folder;
    case 4:
        *name = "a certificate file that is no PEM";
        tls->cert_pem = NULL;
        tls->cert_file = noise;
        return "noise.pem holds no usable certificate";
    case 5:
        *name = "a key file that is no PEM";
        tls->key_pem = NULL;
        tls->key_file = noise;
        return "noise.pem holds no private key";
    case 6:
        *name = "a certificate without a key";
        tls->key_pem = NULL;
        return "holds no private key";
    case 7:
        *name = "a key without a certificate";
        tls->cert_pem = NULL;
        return "there is no certificate";
    case 8:
        *name = "a key where the certificate belongs";
        tls->cert_pem = certs.server.key_pem;
        return "holds no usable certificate";
    case 9:
        *name = "a certificate where the key belongs";
        tls->key_pem = certs.server.pem;
        return "holds no private key";
    case 10:
        *name = "a certificate text that breaks off";
        (void)snprintf(broken, sizeof broken, "%s", certs.server.pem);
        tls->cert_pem = broken;
        return "holds no usable certificate";
    case 11:
        *name = "an empty certificate text";
        tls->cert_pem = "";
        return "holds no usable certificate";
    case 12:
        *name = "a CA file that is not there";
        tls->ca_file = certs_file("absent-ca.pem", NULL);
        return "absent-ca.pem";
    case 13:
        *name = "a CA file that is no PEM";
        tls->ca_file = noise;
        return "noise.pem holds no usable CA certificates";
    case 14:
        *name = "a CRL file that is not there";
        tls->ca_pem = certs.ca.pem;
        tls->crl_file = certs_file("absent-crl.pem", NULL);
        return "absent-crl.pem";
    case 15:
        *name = "a CRL file that is no PEM";
        tls->ca_pem = certs.ca.pem;
        tls->crl_file = noise;
        return "noise.pem holds no usable revocation list";
    case 16: { /* a password must not be asked for on the terminal */
        BIO *bio = BIO_new(BIO_s_mem());
        char password[] = "secret", *text;
        certs_need(PEM_write_bio_PrivateKey(bio, certs.server.key, EVP_aes_128_cbc(), (unsigned char *)password, 6,
                                            NULL, NULL) == 1);
        text = certs_text(bio);
        (void)snprintf(locked, sizeof locked, "%s", text);
        free(text);
        *name = "a key that is encrypted";
        tls->key_pem = locked;
        return "key";
    }
    case 17:
        *name = "a key's file for a certificate's";
        tls->cert_pem = NULL;
        tls->cert_file = key_path;
        return "key.pem holds no usable certificate";
    case 18:
        *name = "a CA text that is no PEM";
        tls->ca_pem = "nothing";
        return "holds no usable CA certificates";
    default:
        return NULL;
    }
}

/* Fields that exclude each other, and fields that need another, for a server and a client. */
static void test_fields(void) {
    static const size_t strings[] = {offsetof(ws_tls_config, cert_file), offsetof(ws_tls_config, cert_pem),
        offsetof(ws_tls_config, key_file), offsetof(ws_tls_config, key_pem), offsetof(ws_tls_config, ca_file),
        offsetof(ws_tls_config, ca_pem), offsetof(ws_tls_config, crl_file)};
    enum { STRINGS = sizeof strings / sizeof *strings };
    SSL_CTX *own = SSL_CTX_new(TLS_method()), *made;
    ws_tls_config tls, none;
    wsi_reason why;
    if (!test_begin("config: fields one by one"))
        return;
    memset(&none, 0, sizeof none);
    for (size_t i = 0; i < STRINGS; i++) {
        memset(&tls, 0, sizeof tls);
        *(const char **)(void *)((char *)&tls + strings[i]) = "x";
        CHECK(!wsi_tls_same(&tls, &none) && !wsi_tls_same(&none, &tls) && wsi_tls_same(&tls, &tls));
        made = wsi_tls_new_context(&tls, wsi_tls_fill_client, &why); /* there is no such file, and it is no PEM */
        CHECK(!made && (TEST_SMALL || why.text[0]));
        tls.ssl_ctx = own;
        why.text[0] = 0;
        CHECK(!wsi_tls_new_context(&tls, wsi_tls_fill_client, &why));
        CHECK(TEST_SMALL || strncmp(why.text, "ssl_ctx replaces", 16) == 0);
    }
    memset(&tls, 0, sizeof tls);
    tls.ssl_ctx = own;
    CHECK(!wsi_tls_same(&tls, &none));
    made = wsi_tls_new_context(&tls, wsi_tls_fill_server, &why);
    CHECK(made == own);
    SSL_CTX_free(made);
    for (int kind = 0; kind < 4; kind++) {
        tls = none;
        tls.client_cert_optional = kind == 0;
        tls.crl_file = kind == 1 ? "x" : NULL;
        tls.accept_any_certificate = kind == 2;
        CHECK_EQ(wsi_tls_same(&tls, &none), kind == 3);
        why.text[0] = 0;
        CHECK(!wsi_tls_new_context(&tls, wsi_tls_fill_server, &why));
        CHECK(TEST_SMALL || (strncmp(why.text, "crl_file and", 12) == 0) == (kind < 2));
    }
    SSL_CTX_free(own);
    ERR_clear_error();
}

/* Errors that the program's own use of OpenSSL left behind are not taken for those of the connection. */
static void test_stale_error(void) {
    if (!test_begin("an error in OpenSSL's queue that is the program's"))
        return;
    CHECK(start());
    peer *r = tls_open();
    for (int i = 0; i < 3; i++) {
        (void)BIO_new_file("/nowhere/at/all", "r");
        CHECK(peer_echo(r, "good"));
        (void)BIO_new_file("/nowhere/at/all", "r");
        CHECK(serves());
    }
    ERR_clear_error();
    TLS_END();
}

static void test_bad_configs(void) {
    const char *says, *name = "";
    ws_tls_config tls;
    size_t i;
    for (i = 0; (says = bad_config(i, &tls, &name)) != NULL; i++) {
        ws_client_config config;
        tls_client *c;
        if (!test_begin("config: %s", name))
            continue;
        CHECK(!start_server(&tls, NULL));
        CHECK(net.server == NULL);
        CHECK_EQ(ws_loop_error(net.loop), WS_ERROR_TLS);
        CHECK_SAYS(ws_loop_error_text(net.loop), NET_DETAIL(says));
        (void)snprintf(complaints[i], sizeof complaints[i], "%s", ws_loop_error_text(net.loop));
        CHECK_EQ(ws_run(net.loop), WS_ERROR_TLS);
        TLS_END();
        CHECK(start());
        memset(&config, 0, sizeof config);
        config.tls = tls;
        if (!tls.ca_file && !tls.ca_pem)
            config.tls.ca_pem = certs.ca.pem;
        c = dial(&config);
        UNTIL(c->opened || c->errors);
        CHECK_EQ(c->errors, 1);
        CHECK_EQ(c->error, WS_ERROR_TLS);
        CHECK_TOLD(c, says);
        TLS_END();
    }
    if (TEST_SMALL || !test_begin("each bad certificate, key, file and list has an error text of its own"))
        return;
    if (*test_now.filter)
        return; /* the others did not run */
    complaints[9][0] = complaints[11][0] = 0; /* these hold no key or no certificate, like 6 and 8 */
    for (i = 0; i < BAD_CONFIGS + TRIALS; i++) {
        const char *a = i < BAD_CONFIGS ? complaints[i] : verdicts[i - BAD_CONFIGS];
        size_t j;
        for (j = i + 1; *a && j < BAD_CONFIGS + TRIALS; j++) {
            const char *b = j < BAD_CONFIGS ? complaints[j] : verdicts[j - BAD_CONFIGS];
            bool other_name = j >= BAD_CONFIGS && i >= BAD_CONFIGS; /* one fault may come twice */
            CHECK(strcmp(a, b) != 0 || (other_name && trials[i - BAD_CONFIGS].says == trials[j - BAD_CONFIGS].says));
            if (strcmp(a, b) == 0)
                printf("    twice: %s\n", a);
        }
    }
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    certs_start();
    test_reload();
    test_reload_inside();
    test_files();
    test_chain();
    test_own_contexts();
    test_visitors();
    test_led_visitors();
    test_refused_visitor_12();
    test_revoked_visitor();
    test_odd_names();
    test_certificate_sizes();
    test_trials();
    test_lists(true);
    test_lists(false);
    test_any_certificate();
    test_system_roots();
    test_trust_is_own();
    test_fields();
    test_stale_error();
    test_bad_configs();
    certs_end();
    return test_finish();
}

#endif
