// What a thread for calls does. See call-thread.h.
#include "call-thread.h"

#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace pasidd {
namespace {

// A thread calls into the kernel, and its own memory is on the heap.
constexpr size_t kStackBytes = 256 << 10;
// TASK_COMM_LEN without its NUL, pthread_setname_np(3).
constexpr size_t kNameBytesMax = 15;

int64_t CodeOf(int64_t value) { return value == -1 ? -errno : value; }

int64_t Ioctl(Call* call) {
  uint64_t before = 0;
  uint8_t* pointer = call->bytes.data() + call->pointerAt;
  if (call->pointing) {
    const auto address = reinterpret_cast<uint64_t>(call->data.data());
    std::memcpy(&before, pointer, sizeof before);
    std::memcpy(pointer, &address, sizeof address);
  }
  // SAFETY: the structure says its own size and that of what it points to, and src/uapi/ writes
  // both as they are; the kernel touches no more.
  void* argument = call->bytes.empty() ? nullptr : call->bytes.data();
  const int64_t code = CodeOf(ioctl(call->fd, call->number, argument));
  // An address of ours is nobody's business.
  if (call->pointing) std::memcpy(pointer, &before, sizeof before);
  return code;
}

int64_t Read(Call* call) {
  // SAFETY: the buffer has this size.
  const int64_t code = CodeOf(read(call->fd, call->data.data(), call->data.size()));
  call->data.resize(code < 0 ? 0 : static_cast<size_t>(code));
  return code;
}

int64_t Write(Call* call) {
  // SAFETY: the buffer has this size.
  const int64_t code = CodeOf(write(call->fd, call->data.data(), call->data.size()));
  call->data.clear();
  return code;
}

// Nothing is repeated on EINTR, which signals cannot cause: the threads block them all.
int64_t Make(Call* call) {
  switch (call->kind) {
    case Kind::kIoctl: return Ioctl(call);
    case Kind::kRead: return Read(call);
    case Kind::kWrite: return Write(call);
    // SAFETY: the caller owned fd and gave it up.
    case Kind::kClose: return CodeOf(close(call->fd));
    // SAFETY: the caller owns both; fd's file is closed, and its number goes on to be the caller's.
    case Kind::kReplace:
      return CodeOf(dup3(static_cast<int>(call->number), call->fd, O_CLOEXEC));
  }
  return -ENOSYS;
}

void* Work(void* argument) {
  const std::unique_ptr<Worker> self(static_cast<Worker*>(argument));
  const std::string name = self->name.substr(0, kNameBytesMax);
  pthread_setname_np(pthread_self(), name.c_str());
  while (std::unique_ptr<Call> call = self->inbox->Take()) {
    call->code = Make(call.get());
    self->outbox->Put(self->id, std::move(call));
  }
  self->outbox->Put(self->id, nullptr);
  return nullptr;
}

}  // namespace

int StartThread(std::unique_ptr<Worker> worker) {
  pthread_attr_t attributes;
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  // SAFETY: attributes and masks are on our stack. The thread inherits the mask, and then owns the
  // worker; detached, nobody has to join it.
  int error = pthread_attr_init(&attributes);
  if (error != 0) return error;
  pthread_attr_setstacksize(&attributes, kStackBytes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  error = pthread_create(&thread, &attributes, &Work, worker.get());
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  if (error == 0) worker.release();
  return error;
}

}  // namespace pasidd
