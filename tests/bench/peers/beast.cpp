// An echo over Boost.Beast: beast; prints its port. One thread, as the others.
#include <boost/asio.hpp>
#include <boost/beast.hpp>
#include <boost/beast/websocket.hpp>
#include <csignal>
#include <cstdio>
#include <memory>

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using beast::error_code;

struct session : std::enable_shared_from_this<session> {
    beast::websocket::stream<tcp::socket> stream;
    beast::flat_buffer message;

    explicit session(tcp::socket socket) : stream(std::move(socket)) {}

    void start() {
        stream.next_layer().set_option(tcp::no_delay(true));
        stream.auto_fragment(false);
        stream.read_message_max(64 << 20);
        stream.async_accept([self = shared_from_this()](error_code failed) {
            if (!failed)
                self->read();
        });
    }

    void read() {
        stream.async_read(message, [self = shared_from_this()](error_code failed, std::size_t) {
            if (failed)
                return;
            self->stream.binary(self->stream.got_binary());
            self->write();
        });
    }

    void write() {
        stream.async_write(message.data(), [self = shared_from_this()](error_code failed, std::size_t size) {
            self->message.consume(size);
            if (!failed)
                self->read();
        });
    }
};

static void take(tcp::acceptor &acceptor) {
    acceptor.async_accept([&acceptor](error_code failed, tcp::socket socket) {
        if (!failed)
            std::make_shared<session>(std::move(socket))->start();
        take(acceptor);
    });
}

int main() {
    asio::io_context context(1);
    tcp::acceptor acceptor(context, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    asio::signal_set signals(context, SIGTERM);
    signals.async_wait([&context](error_code, int) { context.stop(); });
    std::printf("%u\n", unsigned(acceptor.local_endpoint().port()));
    std::fflush(stdout);
    take(acceptor);
    context.run();
}
