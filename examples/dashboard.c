/* Live charts of this machine's load: the server pushes figures as JSON to every open page, once a second. A page that
   reads too slowly gets only the latest figures. From the top of the tree:

       cc -O2 -DWS_NO_TLS -o dashboard examples/dashboard.c
       ./dashboard                         then open http://127.0.0.1:8000/
*/
#define WS_IMPLEMENTATION
#include "../ws.h"

#include "program.h" /* options, Ctrl-C, the printed address; see there for how to copy an example */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HISTORY = 60 };

static const char usage[] =
    "usage: dashboard [--every MS] " SERVER_OPTIONS
    "Serves live charts of this machine's load (on Linux only: read from /proc).\n"
    "--every: the time between two figures in milliseconds; default 1000.\n"
    SERVER_HELP("8000");

static const char page[] =
    "<!doctype html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n"
    "<meta name='viewport' content='width=device-width, initial-scale=1'>\n<title>Dashboard</title>\n"
    "<link rel='icon' href='data:,'>\n"
    "<style>\n"
    "  :root { color-scheme: light dark; --line: #8884; --accent: #3b6fe0 }\n"
    "  body { font: 1rem/1.4 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1.2rem }\n"
    "  main { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)) }\n"
    "  section { border: 1px solid var(--line); border-radius: .7rem; padding: .8rem 1rem }\n"
    "  h2 { font-size: 1rem; margin: 0; font-weight: 500 } b { font-size: 1.6rem; font-weight: 600 }\n"
    "  canvas { width: 100%; height: 5rem; display: block }\n"
    "  #state { opacity: .7 }\n"
    "</style>\n</head>\n<body>\n<h1>This machine</h1>\n<main></main>\n<p id='state' role='status'>Connecting ...</p>\n";

static const char script[] =
    "<script>\n"
    "const charts = [['cpu', 'Processor', 100, v => v.toFixed(0) + ' %'], ['memory', 'Memory', 100, v => "
    "v.toFixed(0) + ' %'],\n"
    "  ['load', 'Load', 0, v => v.toFixed(2)], ['network', 'Network', 0, v => (v / 1024).toFixed(1) + ' KiB/s'],\n"
    "  ['pages', 'Open pages', 0, v => v.toFixed(0)]];\n"
    "const state = document.getElementById('state'), history = {};\n"
    "for (const [name, title] of charts) {\n"
    "  history[name] = [];\n"
    "  document.querySelector('main').insertAdjacentHTML('beforeend',\n"
    "    `<section><h2>${title}</h2><b id='${name}'></b><canvas id='${name}-line' role='img'></canvas></section>`);\n"
    "}\n"
    "function draw(name, most) {\n"
    "  const canvas = document.getElementById(name + '-line'), scale = devicePixelRatio || 1, values = history[name];\n"
    "  canvas.width = canvas.clientWidth * scale; canvas.height = canvas.clientHeight * scale;\n"
    "  const pen = canvas.getContext('2d'), top = most || Math.max(1, ...values) * 1.2;\n"
    "  pen.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue('--accent');\n"
    "  pen.lineWidth = 2 * scale; pen.lineJoin = 'round'; pen.beginPath();\n"
    "  values.forEach((value, i) => pen.lineTo(canvas.width * (1 - (values.length - 1 - i) / 59),\n"
    "    canvas.height - 2 * scale - Math.min(1, value / top) * (canvas.height - 4 * scale)));\n"
    "  pen.stroke();\n"
    "}\n"
    "function show() {\n"
    "  for (const [name, title, most, format] of charts) {\n"
    "    const values = history[name], now = values.length ? format(values[values.length - 1]) : 'no figure yet';\n"
    "    document.getElementById(name).textContent = now;\n"
    "    const line = document.getElementById(name + '-line');\n"
    "    line.setAttribute('aria-label', `${title}: ${now}` + (values.length\n"
    "      ? `; last ${values.length} from ${format(Math.min(...values))} to ${format(Math.max(...values))}` : ''));\n"
    "    draw(name, most);\n"
    "  }\n"
    "}\n"
    "function connect() {\n"
    "  const socket = new WebSocket((location.protocol === 'https:' ? 'wss://' : 'ws://') + location.host + '/ws');\n"
    "  for (const [name] of charts) history[name].length = 0;\n"
    "  socket.onopen = () => { state.textContent = 'Live'; };\n"
    "  socket.onmessage = event => {\n"
    "    const figures = JSON.parse(event.data);\n"
    "    for (const [name] of charts) {\n"
    "      history[name].push(figures[name]);\n"
    "      if (history[name].length > 60) history[name].shift();\n"
    "    }\n"
    "    show();\n"
    "  };\n"
    "  socket.onclose = () => { state.textContent = 'Not connected; trying again ...'; setTimeout(connect, 1000); };\n"
    "}\n"
    "addEventListener('resize', show);\n"
    "show();\n"
    "connect();\n"
    "</script>\n</body>\n</html>\n";

typedef struct figures {
    double cpu, memory, load, network, pages; /* percent, percent, processes, bytes per second, WebSockets */
} figures;

static figures past[HISTORY]; /* a ring */
static unsigned taken;        /* how many figures were taken so far */
static long period_ms;

/* Calls function with each line of a file; not at all if there is no such file. */
static void each_line(const char *name, void (*function)(const char *line, double *sums), double *sums) {
    char line[512];
    FILE *file = fopen(name, "r");
    while (file && fgets(line, sizeof line, file))
        function(line, sums);
    if (file)
        fclose(file);
}

/* "cpu  user nice system idle iowait irq softirq steal": sums[0] all, sums[1] idle. */
static void cpu_line(const char *line, double *sums) {
    double t[8] = {0};
    if (sscanf(line, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", &t[0], &t[1], &t[2], &t[3], &t[4], &t[5], &t[6], &t[7]) < 4)
        return;
    for (int i = 0; i < 8; i++)
        sums[0] += t[i];
    sums[1] += t[3] + t[4];
}

static void memory_line(const char *line, double *sums) {
    if (sscanf(line, "MemTotal: %lf", &sums[0]) != 1)
        (void)sscanf(line, "MemAvailable: %lf", &sums[1]);
}

static void load_line(const char *line, double *load) { (void)sscanf(line, "%lf", load); }

/* "eth0: received ... (8 numbers) sent ..."; the loopback interface does not count. */
static void network_line(const char *line, double *sums) {
    double in, out;
    char name[64];
    if (sscanf(line, " %63[^:]: %lf %*f %*f %*f %*f %*f %*f %*f %lf", name, &in, &out) == 3 && strcmp(name, "lo") != 0)
        sums[0] += in + out;
}

/* Reads all figures. For the system's counters a figure is the growth since the last call. */
static figures take(void) {
    static double before[3];
    double cpu[2] = {0}, memory[2] = {0}, network[1] = {0};
    figures now = {0};
    each_line("/proc/stat", cpu_line, cpu);
    each_line("/proc/meminfo", memory_line, memory);
    each_line("/proc/net/dev", network_line, network);
    each_line("/proc/loadavg", load_line, &now.load);
    if (before[0] > 0 && cpu[0] > before[0])
        now.cpu = 100 * (1 - (cpu[1] - before[1]) / (cpu[0] - before[0]));
    if (memory[0] > 0)
        now.memory = 100 * (1 - memory[1] / memory[0]);
    if (before[2] > 0 && network[0] >= before[2])
        now.network = (network[0] - before[2]) * 1000 / (double)period_ms;
    before[0] = cpu[0];
    before[1] = cpu[1];
    before[2] = network[0];
    return now;
}

#define FIGURES "{'cpu':%.1f,'memory':%.1f,'load':%.2f,'network':%.0f,'pages':%.0f}"

static void push(ws_loop *in, void *user) {
    figures now = take();
    now.pages = (double)ws_loop_stats(in).open;
    past[taken++ % HISTORY] = now;
    ws_server_broadcast_json(user, "pages", FIGURES, now.cpu, now.memory, now.load, now.network, now.pages);
}

/* A new page gets the latest figures at once. */
static void enter(ws_conn *conn) {
    ws_join(conn, "pages");
    for (unsigned i = taken > HISTORY ? taken - HISTORY : 0; i < taken; i++) {
        figures then = past[i % HISTORY];
        ws_send_json(conn, FIGURES, then.cpu, then.memory, then.load, then.network, then.pages);
    }
}

int main(int argc, char **argv) {
    ws_server_config config = {.port = 8000, .hosts = "127.0.0.1, localhost, [::1]", /* against DNS rebinding */
                               .limits = {.message = 1024}};
    ws_loop_config loop_config = {.trace = NULL};
    char html[sizeof page + sizeof script];
    const char *every = "1000";
    const program_option own[] = {{.name = "--every", .text = &every}, {.name = NULL}};
    read_server_options(argc, argv, usage, own, &config, &loop_config);
    period_ms = strtol(every, NULL, 10);
    if (every[strspn(every, "0123456789")] || period_ms < 10 || period_ms > 3600000)
        bad_usage(every, "is not a period: --every takes milliseconds, from 10 to 3600000");
    ws_loop *loop = ws_loop_new(&loop_config);
    ws_server *server = ws_listen(loop, &config);
    ws_room_slow(server, "pages", WS_SLOW_LATEST);
    ws_route(server, "/ws", &(ws_handler){.on_open = enter});
    snprintf(html, sizeof html, "%s%s", page, script);
    ws_page(server, "/", "text/html", html);
    (void)take(); /* remembers where the counters start */
    ws_every(loop, (uint32_t)period_ms, push, server);
    announce(loop, server, "http");
    ws_error error = ws_run(loop);
    if (error)
        fprintf(stderr, "dashboard: %s\n", ws_loop_error_text(loop));
    ws_loop_free(loop);
    return error ? 1 : 0;
}
