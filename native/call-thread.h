// A thread for system calls that may take long, or never come back: ioctl(2), read(2), write(2),
// close(2), dup3(2), one after the other.
// Holds: it works on memory of its own, which nobody frees or reads before the call is back, and
// knows nothing of JavaScript; what is done it puts into the outbox, which outlives the
// environment.
#pragma once

#include <cerrno>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <uv.h>
#include <vector>

namespace pasidd {

using Bytes = std::vector<uint8_t>;

// Of a structure, and of what is read, written or pointed to; src/linux/call-thread.ts has the
// same.
constexpr size_t kStructureBytesMax = 4096;
constexpr size_t kDataBytesMax = 64 << 10;
// Calls that wait for one thread.
constexpr size_t kWaitingMax = 4096;

enum class Kind { kIoctl, kRead, kWrite, kClose, kReplace };

struct Call {
  Kind kind = Kind::kIoctl;
  int fd = -1;
  // Of an ioctl its request; of a replacement the descriptor that takes the place.
  uint32_t number = 0;
  // The structure.
  Bytes bytes;
  // What the structure points to at pointerAt; what is read or written.
  Bytes data;
  bool pointing = false;
  size_t pointerAt = 0;
  // Of the thread, from 1.
  int64_t id = 0;
  // A value, or minus errno.
  int64_t code = 0;
};

// What waits for one thread.
class Inbox {
 public:
  // Whether it was taken: 0, or why not.
  int Put(std::unique_ptr<Call> call) {
    const std::lock_guard lock(mutex_);
    if (ended_) return ECANCELED;
    if (waiting_.size() >= kWaitingMax) return ENOBUFS;
    waiting_.push_back(std::move(call));
    changed_.notify_one();
    return 0;
  }

  // Waits for the next one; null when there will be none.
  std::unique_ptr<Call> Take() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return ended_ || !waiting_.empty(); });
    if (waiting_.empty()) return nullptr;
    std::unique_ptr<Call> call = std::move(waiting_.front());
    waiting_.pop_front();
    return call;
  }

  void End() {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_one();
  }

  // Ends it, and takes back what has not begun.
  std::deque<std::unique_ptr<Call>> Abandon() {
    End();
    const std::lock_guard lock(mutex_);
    return std::exchange(waiting_, {});
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::unique_ptr<Call>> waiting_;
  bool ended_ = false;
};

struct Done {
  uint32_t thread;
  // Null: the thread is over.
  std::unique_ptr<Call> call;
};

// Where the threads of one environment put what is done, and wake its loop.
class Outbox {
 public:
  explicit Outbox(uv_async_t* wake) : wake_(wake) {}

  void Put(uint32_t thread, std::unique_ptr<Call> call) {
    const std::lock_guard lock(mutex_);
    if (wake_ == nullptr) return;
    done_.push_back({thread, std::move(call)});
    // SAFETY: the handle is closed only after Close(). It never waits, and never fails.
    uv_async_send(wake_);
  }

  std::vector<Done> TakeAll() {
    const std::lock_guard lock(mutex_);
    return std::exchange(done_, {});
  }

  // What comes after this is dropped.
  void Close() {
    const std::lock_guard lock(mutex_);
    wake_ = nullptr;
  }

 private:
  std::mutex mutex_;
  uv_async_t* wake_;
  std::vector<Done> done_;
};

// What a thread knows: nothing of the environment.
struct Worker {
  uint32_t id;
  std::string name;
  std::shared_ptr<Inbox> inbox;
  std::shared_ptr<Outbox> outbox;
};

// Starts it; detached, nobody has to join it. 0, or errno: EAGAIN when the kernel has no thread for
// us, or no room for its stack.
int StartThread(std::unique_ptr<Worker> worker);

}  // namespace pasidd
