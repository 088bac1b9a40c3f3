// Memory that another process handed over: what kind of file it is, without a call that could wait
// for anybody, and words of it, through a mapping or with pread(2).
// Holds: a word is looked up within the bytes that were mapped, never by an address from outside;
// only files sealed against shrinking are to be mapped (the caller's promise), so that no access
// raises SIGBUS; a mapping is undone once, by unmapMemory() or with the environment.
#include "addon.h"

#include <fcntl.h>
#include <memory>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <unordered_map>

namespace pasidd {
namespace {

constexpr size_t kWord = sizeof(uint64_t);

class Mapping {
 public:
  Mapping(void* address, size_t size, bool writable)
      : address_(address), size_(size), writable_(writable) {}
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() {
    // SAFETY: mapped by mapMemory() with these values; nothing else knows the address.
    munmap(address_, size_);
  }

  // The word at a byte offset; null when it is not aligned or not whole within the mapping.
  uint64_t* WordAt(int64_t offset) const {
    if (offset < 0 || offset % static_cast<int64_t>(kWord) != 0) return nullptr;
    const auto at = static_cast<size_t>(offset);
    if (size_ < kWord || at > size_ - kWord) return nullptr;
    return static_cast<uint64_t*>(address_) + at / kWord;
  }
  bool Writable() const { return writable_; }

 private:
  void* address_;
  size_t size_;
  bool writable_;
};

using Mappings = std::unordered_map<int, std::unique_ptr<Mapping>>;

// Worker threads have none: guest memory is the main environment's. Numbers are not used again.
Mappings& All() {
  static thread_local Mappings all;
  return all;
}

const Mapping* MappingOf(int id) {
  const auto found = All().find(id);
  return found == All().end() ? nullptr : found->second.get();
}

bool Whole(const Napi::CallbackInfo& info, size_t position, int64_t* value) {
  if (!info[position].IsNumber()) {
    Napi::TypeError::New(info.Env(), "a whole number is missing").ThrowAsJavaScriptException();
    return false;
  }
  *value = info[position].As<Napi::Number>().Int64Value();
  return true;
}

bool Word(const Napi::CallbackInfo& info, size_t position, uint64_t* value) {
  bool lossless = false;
  if (info[position].IsBigInt()) {
    *value = info[position].As<Napi::BigInt>().Uint64Value(&lossless);
  }
  if (!lossless) {
    Napi::TypeError::New(info.Env(), "a word of 64 bits is missing").ThrowAsJavaScriptException();
  }
  return lossless;
}

}  // namespace

// memoryFacts(fd) -> { mode, flags, seals, filesystem, bytes }, or -errno. `seals` is -1 for a file
// that cannot be sealed; then the last two are 0, and nothing was asked that its server would have
// to answer: fstat(2) and fstatfs(2) wait for the server of a file on FUSE (FUSE_GETATTR,
// FUSE_STATFS). What can be sealed is shmem's or hugetlbfs's (mm/memfd.c memfd_file_seals_ptr).
Napi::Value MemoryFacts(const Napi::CallbackInfo& info) {
  int fd;
  if (!Int(info, 0, &fd)) return info.Env().Undefined();
  // SAFETY: neither takes a pointer.
  const int flags = fcntl(fd, F_GETFL);
  if (flags == -1) return Failure(info.Env());
  const int seals = fcntl(fd, F_GET_SEALS);
  struct statx file{};
  // SAFETY: fills a struct of its own type on our stack. AT_STATX_DONT_SYNC: only what is known.
  if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_SIZE, &file) == -1) {
    return Failure(info.Env());
  }
  struct statfs filesystem{};
  // SAFETY: as above; of a file that can be sealed, so it is the kernel that answers.
  if (seals != -1 && fstatfs(fd, &filesystem) == -1) return Failure(info.Env());
  const auto kind = static_cast<uint32_t>(filesystem.f_type);
  const auto bytes = seals == -1 ? 0 : static_cast<uint64_t>(file.stx_size);
  Napi::Object facts = Napi::Object::New(info.Env());
  facts.Set("mode", Napi::Number::New(info.Env(), file.stx_mode));
  facts.Set("flags", Napi::Number::New(info.Env(), flags));
  facts.Set("seals", Napi::Number::New(info.Env(), seals));
  facts.Set("filesystem", Napi::Number::New(info.Env(), kind));
  facts.Set("bytes", Napi::BigInt::New(info.Env(), bytes));
  return facts;
}

// mapMemory(fd, offset, bytes, writable) -> an id, or -errno. The file is sealed against shrinking
// and has these bytes.
Napi::Value MapMemory(const Napi::CallbackInfo& info) {
  static thread_local int last = 0;
  int fd;
  int64_t offset;
  int64_t bytes;
  if (!Int(info, 0, &fd) || !Whole(info, 1, &offset) || !Whole(info, 2, &bytes)) {
    return info.Env().Undefined();
  }
  if (offset < 0 || bytes <= 0 || last == INT32_MAX) return Failure(info.Env(), EINVAL);
  const bool writable = info[3].ToBoolean().Value();
  const int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
  const auto size = static_cast<size_t>(bytes);
  // SAFETY: a new mapping, where the kernel likes; known to the Mapping alone, which undoes it.
  void* address = mmap(nullptr, size, protection, MAP_SHARED, fd, offset);
  if (address == MAP_FAILED) return Failure(info.Env());
  last++;
  All().emplace(last, std::make_unique<Mapping>(address, size, writable));
  return Napi::Number::New(info.Env(), last);
}

// unmapMemory(id) -> whether there was such a mapping
Napi::Value UnmapMemory(const Napi::CallbackInfo& info) {
  int id;
  if (!Int(info, 0, &id)) return info.Env().Undefined();
  return Napi::Boolean::New(info.Env(), All().erase(id) == 1);
}

// loadWord(id, offset) -> the word there, or undefined where the mapping has none
Napi::Value LoadWord(const Napi::CallbackInfo& info) {
  int id;
  int64_t offset;
  if (!Int(info, 0, &id) || !Whole(info, 1, &offset)) return info.Env().Undefined();
  const Mapping* mapping = MappingOf(id);
  uint64_t* word = mapping == nullptr ? nullptr : mapping->WordAt(offset);
  if (word == nullptr) return info.Env().Undefined();
  // SAFETY: aligned, within the mapping, and the file cannot have become shorter. Others write it
  // at the same time, hence the atomic load.
  return Napi::BigInt::New(info.Env(), __atomic_load_n(word, __ATOMIC_ACQUIRE));
}

// exchangeWord(id, offset, expected, next) -> whether `expected` stood there, and `next` does now
Napi::Value ExchangeWord(const Napi::CallbackInfo& info) {
  int id;
  int64_t offset;
  uint64_t expected;
  uint64_t next;
  if (!Int(info, 0, &id) || !Whole(info, 1, &offset) || !Word(info, 2, &expected) ||
      !Word(info, 3, &next)) {
    return info.Env().Undefined();
  }
  const Mapping* mapping = MappingOf(id);
  uint64_t* word = mapping == nullptr || !mapping->Writable() ? nullptr : mapping->WordAt(offset);
  if (word == nullptr) return Napi::Boolean::New(info.Env(), false);
  // SAFETY: as in loadWord, and the pages may be written.
  const bool done = __atomic_compare_exchange_n(word, &expected, next, false, __ATOMIC_SEQ_CST,
                                                __ATOMIC_ACQUIRE);
  return Napi::Boolean::New(info.Env(), done);
}

// readWord(fd, offset) -> the word there, or undefined where the file has no whole one
Napi::Value ReadWord(const Napi::CallbackInfo& info) {
  int fd;
  int64_t offset;
  if (!Int(info, 0, &fd) || !Whole(info, 1, &offset)) return info.Env().Undefined();
  uint64_t word = 0;
  ssize_t size;
  do {
    // SAFETY: one word on our stack.
    size = pread(fd, &word, kWord, offset);
  } while (size == -1 && errno == EINTR);
  if (size != static_cast<ssize_t>(kWord)) return info.Env().Undefined();
  return Napi::BigInt::New(info.Env(), word);
}

// writeWord(fd, offset, word) -> whether all of it was written
Napi::Value WriteWord(const Napi::CallbackInfo& info) {
  int fd;
  int64_t offset;
  uint64_t word;
  if (!Int(info, 0, &fd) || !Whole(info, 1, &offset) || !Word(info, 2, &word)) {
    return info.Env().Undefined();
  }
  ssize_t size;
  do {
    // SAFETY: one word on our stack.
    size = pwrite(fd, &word, kWord, offset);
  } while (size == -1 && errno == EINTR);
  return Napi::Boolean::New(info.Env(), size == static_cast<ssize_t>(kWord));
}

}  // namespace pasidd
