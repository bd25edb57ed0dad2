#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif
import Synchronization

/// An open file that is written at any offset; closed when it is dropped.
///
/// What once refused to write, flush or close refuses from then on: after a failed flush the system
/// may have dropped bytes, and a second flush that succeeds says nothing about them. Several threads
/// may read and write ranges that do not overlap.
package final class WritableFile: Sendable {
  /// The path as the user knows it; errors name it.
  package let path: String

  private let fileSystem: any FileSystem
  private let state: Mutex<State>

  private struct State {
    /// nil when it was closed.
    var descriptor: Int32?
    var refusal: FileError?
  }

  /// Takes a descriptor, which is closed with this object.
  init(_ descriptor: Int32, path: String, on fileSystem: any FileSystem) {
    self.path = path
    self.fileSystem = fileSystem
    state = Mutex(State(descriptor: descriptor))
  }

  deinit {
    if let descriptor = state.withLock({ $0.descriptor }) { try? fileSystem.close(descriptor) }
  }

  /// The length in bytes.
  ///
  /// - Throws: `FileError` where the device fails.
  package func byteCount() throws(FileError) -> Int { try status().byteCount }

  /// What kind of file it is, and how long.
  func status() throws(FileError) -> FileStatus {
    try call(.open) { descriptor throws(Errno) in try fileSystem.status(descriptor) }
  }

  /// Reads into the whole of a buffer from an offset.
  ///
  /// - Throws: `FileError` where the file ends before, or the device fails.
  package func read(
    into buffer: UnsafeMutableRawBufferPointer,
    at offset: Int
  ) throws(FileError) {
    var done = 0
    while done < buffer.count {
      let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
      let count = try call(.read) { descriptor throws(Errno) in
        try fileSystem.read(descriptor, into: rest, at: offset + done)
      }
      guard count > 0 else { throw .ends(path, at: offset + done, needed: offset + buffer.count) }
      done += count
    }
  }

  /// Writes the whole of a buffer at an offset; bytes between the end and the offset become zeros.
  ///
  /// - Throws: `FileError` where the disk is full or fails.
  package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError) {
    var done = 0
    while done < bytes.count {
      let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
      done += try change(.write) { descriptor throws(Errno) in
        let count = try fileSystem.write(descriptor, rest, at: offset + done)
        // A system that takes nothing and gives no reason would be asked for ever.
        guard count > 0 else { throw Errno(EIO) }
        return count
      }
    }
  }

  /// Cuts the file off, or makes it longer by zeros.
  ///
  /// - Throws: `FileError` where the disk is full or fails.
  package func truncate(to byteCount: Int) throws(FileError) {
    try change(.write) { descriptor throws(Errno) in
      try fileSystem.truncate(descriptor, to: byteCount)
    }
  }

  /// Makes what was written last through a power cut.
  ///
  /// - Throws: `FileError` where the disk is full or fails.
  package func flush() throws(FileError) {
    try change(.flush) { descriptor throws(Errno) in try fileSystem.flush(descriptor) }
  }

  /// Asks the system to begin writing a range to the disk; nothing is waited for, and nothing is
  /// certain before `flush()`.
  package func startFlush(_ range: Range<Int>) {
    state.withLock { state in
      if let descriptor = state.descriptor { fileSystem.startFlush(descriptor, range) }
    }
  }

  /// Closes, and says where the system reports a late fault of writing.
  ///
  /// - Throws: `FileError` where the disk is full or fails, now or in a call before.
  package func close() throws(FileError) {
    try check()
    guard let descriptor = state.withLock({ $0.descriptor.take() }) else { return }
    do throws(Errno) {
      try fileSystem.close(descriptor)
    } catch {
      // Not closed again after a signal: the number may be another file's by then.
      guard error.code != EINTR else { return }
      throw refuse(FileError(errno: error.code, path, .close))
    }
  }

  /// Takes the lock that says that a living writer has this file.
  ///
  /// The lock ends with the process, and with the last of this object and the locks that were made
  /// from it.
  ///
  /// - Returns: false where another writer has it.
  /// - Throws: `FileError` where the file system knows no locks.
  package func tryLock() throws(FileError) -> Bool {
    do throws(FileError) {
      try call(.lock) { descriptor throws(Errno) in try fileSystem.lock(descriptor) }
      return true
    } catch  where error.errno == EWOULDBLOCK {
      return false
    }
  }

  /// A second hold on the file, which keeps its lock while this object is closed.
  func hold() throws(FileError) -> WritableFile {
    let second = try call(.open) { descriptor throws(Errno) in
      try fileSystem.duplicate(descriptor)
    }
    return WritableFile(second, path: path, on: fileSystem)
  }

  /// Whether a path still names this file, which others may have moved or removed.
  ///
  /// - Throws: `FileError` where that cannot be told.
  func isAt(_ path: String) throws(FileError) -> Bool {
    do throws(FileError) {
      let there = try SystemCall.check(self.path, .open) { () throws(Errno) in
        try fileSystem.status(of: path, followingLink: false)
      }
      return try there.identity == status().identity
    } catch  where error.errno == ENOENT {
      return false
    }
  }

  private func call<Result>(
    _ operation: FileError.Operation,
    _ work: (Int32) throws(Errno) -> Result
  ) throws(FileError) -> Result {
    // A closed file answers as the system does for a descriptor that it does not know.
    let descriptor = state.withLock { $0.descriptor } ?? -1
    return try SystemCall.check(path, operation) { () throws(Errno) in try work(descriptor) }
  }

  /// A call that, once refused, is not made again.
  private func change<Result>(
    _ operation: FileError.Operation,
    _ work: (Int32) throws(Errno) -> Result
  ) throws(FileError) -> Result {
    try check()
    do throws(FileError) {
      return try call(operation, work)
    } catch {
      throw refuse(error)
    }
  }

  private func check() throws(FileError) {
    if let refusal = state.withLock({ $0.refusal }) { throw refusal }
  }

  private func refuse(_ error: FileError) -> FileError {
    state.withLock { $0.refusal = error }
    return error
  }
}
