#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// The file system of the machine.
package struct RealFileSystem: FileSystem {
  package func open(_ path: String, for purpose: OpenPurpose) throws(Errno) -> Int32 {
    let flags =
      switch purpose {
      case .creating: O_RDWR | O_CREAT | O_EXCL
      // Without waiting where the path names a pipe.
      case .updating: O_RDWR | O_NONBLOCK
      case .folder: O_RDONLY | O_DIRECTORY
      }
    return try SystemCall.once { systemOpen(path, flags | O_CLOEXEC, 0o666) }
  }

  package func close(_ descriptor: Int32) throws(Errno) {
    _ = try SystemCall.once { systemClose(descriptor) }
  }

  package func duplicate(_ descriptor: Int32) throws(Errno) -> Int32 {
    try SystemCall.once { fcntl(descriptor, F_DUPFD_CLOEXEC, 0) }
  }

  package func read(
    _ descriptor: Int32,
    into buffer: UnsafeMutableRawBufferPointer,
    at offset: Int
  ) throws(Errno) -> Int {
    try SystemCall.once {
      pread(descriptor, buffer.baseAddress, min(buffer.count, largestTransfer), off_t(offset))
    }
  }

  package func write(
    _ descriptor: Int32,
    _ bytes: UnsafeRawBufferPointer,
    at offset: Int
  ) throws(Errno) -> Int {
    try SystemCall.once {
      pwrite(descriptor, bytes.baseAddress, min(bytes.count, largestTransfer), off_t(offset))
    }
  }

  package func truncate(_ descriptor: Int32, to byteCount: Int) throws(Errno) {
    _ = try SystemCall.once { ftruncate(descriptor, off_t(byteCount)) }
  }

  package func flush(_ descriptor: Int32) throws(Errno) {
    #if canImport(Darwin)
    // Darwin's fsync leaves the bytes in the drive's cache.
    if fcntl(descriptor, F_FULLFSYNC) == 0 { return }
    #endif
    _ = try SystemCall.once { fsync(descriptor) }
  }

  package func startFlush(_ descriptor: Int32, _ range: Range<Int>) {
    #if os(Linux)
    // Of pages that were just written, the advice to drop them only starts their writing.
    _ = posix_fadvise(
      descriptor,
      off_t(range.lowerBound),
      off_t(range.count),
      POSIX_FADV_DONTNEED
    )
    #endif
  }

  package func lock(_ descriptor: Int32) throws(Errno) {
    _ = try SystemCall.once { flock(descriptor, LOCK_EX | LOCK_NB) }
  }

  package func status(_ descriptor: Int32) throws(Errno) -> FileStatus {
    var status = stat()
    _ = try SystemCall.once { fstat(descriptor, &status) }
    return FileStatus(status)
  }

  package func status(of path: String, followingLink: Bool) throws(Errno) -> FileStatus {
    var status = stat()
    _ = try SystemCall.once { followingLink ? stat(path, &status) : lstat(path, &status) }
    return FileStatus(status)
  }

  package func makeFolder(_ path: String) throws(Errno) {
    _ = try SystemCall.once { mkdir(path, 0o777) }
  }

  package func rename(
    _ path: String,
    to target: String,
    _ manner: RenameManner
  ) throws(Errno) {
    _ = try SystemCall.once {
      switch manner {
      case .replacing: systemRename(path, target)
      case .exclusive: renameExclusively(path, target)
      case .exchanging: exchange(path, target)
      }
    }
  }

  package func link(_ path: String, to target: String) throws(Errno) {
    _ = try SystemCall.once { systemLink(path, target) }
  }

  package func removeFile(_ path: String) throws(Errno) {
    _ = try SystemCall.once { unlink(path) }
  }

  package func removeFolder(_ path: String) throws(Errno) {
    _ = try SystemCall.once { rmdir(path) }
  }

  package func names(in path: String) throws(Errno) -> [String] {
    guard let folder = opendir(path) else { throw Errno(errno) }
    defer { closedir(folder) }
    var names: [String] = []
    while true {
      errno = 0
      guard let entry = readdir(folder) else { break }
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != ".", name != ".." { names.append(name) }
    }
    guard errno == 0 else { throw Errno(errno) }
    return names
  }

  package func freeBytes(in path: String) throws(Errno) -> Int? {
    var status = statvfs()
    _ = try SystemCall.once { statvfs(path, &status) }
    // File systems without a size of their own say that they have no blocks at all.
    guard status.f_blocks > 0 else { return nil }
    let (bytes, overflow) = Int(clamping: status.f_bavail)
      .multipliedReportingOverflow(by: Int(clamping: status.f_frsize))
    return overflow ? .max : bytes
  }
}

extension FileSystem where Self == RealFileSystem {
  /// The file system of the machine.
  package static var real: RealFileSystem { RealFileSystem() }
}

// Linux moves at most 2³¹ − 4096 bytes in one call; Darwin refuses more than 2³¹ − 1.
private let largestTransfer = 1 << 30

// The methods of the same names hide these.
private let systemOpen: @Sendable (String, Int32, mode_t) -> Int32 = { open($0, $1, $2) }
private let systemClose: @Sendable (Int32) -> Int32 = { close($0) }
private let systemRename: @Sendable (String, String) -> Int32 = { rename($0, $1) }
private let systemLink: @Sendable (String, String) -> Int32 = { link($0, $1) }

private func renameExclusively(_ path: String, _ target: String) -> Int32 {
  #if canImport(Darwin)
  renamex_np(path, target, UInt32(RENAME_EXCL))
  #else
  renameWithFlags(path, target, 1)  // RENAME_NOREPLACE
  #endif
}

private func exchange(_ path: String, _ target: String) -> Int32 {
  #if canImport(Darwin)
  renamex_np(path, target, UInt32(RENAME_SWAP))
  #else
  renameWithFlags(path, target, 2)  // RENAME_EXCHANGE
  #endif
}

#if !canImport(Darwin)
private typealias RenameAt =
  @Sendable @convention(c) (
    Int32, UnsafePointer<CChar>, Int32, UnsafePointer<CChar>, UInt32
  ) -> Int32

// Glibc's header shows it only to sources that ask for GNU's extensions, and some C libraries lack
// it, so it is looked up when the program runs.
private let renameAt: RenameAt? = dlsym(dlopen(nil, RTLD_NOW), "renameat2")
  .map { unsafeBitCast($0, to: RenameAt.self) }

private func renameWithFlags(_ path: String, _ target: String, _ flags: UInt32) -> Int32 {
  guard let renameAt else {
    errno = ENOSYS
    return -1
  }
  return renameAt(AT_FDCWD, path, AT_FDCWD, target, flags)
}
#endif
