#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// Something that grows on a hidden path, and the hold on it that shows that its writer lives.
struct Partial: Sendable {
  let path: String
  let lock: WritableFile
}

/// How writers tell what a dead one left from what a living one makes: by a lock, which the system
/// gives back when a process ends, however it ends.
extension FileSystem {
  /// Creates a file on a fresh hidden path and locks it.
  func createPartialFile(
    for paths: PartialPaths
  ) throws(FileError) -> (partial: Partial, file: WritableFile) {
    try startPartial(paths) { path throws(FileError) in
      let file = try create(path, onTheWayTo: paths.target)
      do throws(FileError) {
        let lock = try file.hold()
        return try isOurs(lock, at: path) ? (Partial(path: path, lock: lock), file) : nil
      } catch {
        removeAll(at: path)
        throw error
      }
    }
  }

  /// Creates a folder on a fresh hidden path and locks it.
  func createPartialFolder(for paths: PartialPaths) throws(FileError) -> Partial {
    try startPartial(paths) { path throws(FileError) in
      try SystemCall.check(paths.target, .create) { () throws(Errno) in try makeFolder(path) }
      do throws(FileError) {
        let lock = try openFolder(path, onTheWayTo: paths.target)
        return try isOurs(lock, at: path) ? Partial(path: path, lock: lock) : nil
      } catch  where error.errno == ENOENT {
        return nil
      } catch {
        removeAll(at: path)
        throw error
      }
    }
  }

  /// Opens or creates the hidden file that all runs for a target share, and locks it.
  ///
  /// - Throws: `FileError` where another run has it.
  func openResumableFile(
    for paths: PartialPaths
  ) throws(FileError) -> (partial: Partial, file: WritableFile) {
    try startPartial(paths) { _ throws(FileError) in
      let path = paths.resumable
      let file: WritableFile
      do throws(FileError) {
        file = try openForUpdate(path, onTheWayTo: paths.target)
      } catch  where error.errno == ENOENT {
        do throws(FileError) {
          file = try create(path, onTheWayTo: paths.target)
        } catch  where error.errno == EEXIST {
          return nil
        }
      }
      let lock = try file.hold()
      guard try isOurs(lock, at: path) else {
        guard try !lock.isAt(path) else { throw .busy(paths.target) }
        return nil
      }
      return (Partial(path: path, lock: lock), file)
    }
  }

  /// Removes what writers left for a target that live no more, and undoes the half of an exchange.
  ///
  /// What resists, stays; the next writer comes by.
  func clearStrays(of paths: PartialPaths, keeping kept: PartialPaths.Role? = nil) {
    guard let names = try? names(in: paths.folder) else { return }
    var dead: [Partial] = []
    for name in names {
      guard let role = paths.role(of: name), role != kept else { continue }
      let path = Folder.join(paths.folder, name)
      guard let lock = lockOfDeadWriter(path, target: paths.target) else { continue }
      if role == .old, !isThere(paths.target) {
        try? move(path, to: paths.target)
      } else {
        dead.append(Partial(path: path, lock: lock))
      }
    }
    // What an exchange left on the hidden path goes only after the exchange is sure to last.
    guard !dead.isEmpty,
      (try? flushFolder(paths.folder, onTheWayTo: paths.target)) != nil
    else { return }
    for partial in dead { removeAll(at: partial.path) }
  }

  private func lockOfDeadWriter(_ path: String, target: String) -> WritableFile? {
    do throws(FileError) {
      let kind = try SystemCall.check(target, .open) { () throws(Errno) in
        try status(of: path, followingLink: false)
      }.kind
      let lock: WritableFile
      switch kind {
      case .file: lock = try openForUpdate(path, onTheWayTo: target)
      case .folder: lock = try openFolder(path, onTheWayTo: target)
      case .other: return nil
      }
      guard try lock.tryLock() else { return nil }
      return try lock.isAt(path) ? lock : nil
    } catch {
      return nil
    }
  }

  /// Locks what was just created, unless another writer took it for a dead one's in that moment.
  private func isOurs(_ lock: WritableFile, at path: String) throws(FileError) -> Bool {
    do throws(FileError) {
      guard try lock.tryLock() else { return false }
    } catch  where error.meansNoLocks {
      // Then nobody takes it for a dead one's either.
    }
    return try lock.isAt(path)
  }

  private func startPartial<Result>(
    _ paths: PartialPaths,
    _ start: (String) throws(FileError) -> Result?
  ) throws(FileError) -> Result {
    for _ in 0..<8 {
      if let partial = try start(paths.fresh()) { return partial }
    }
    throw .busy(paths.target)
  }
}

extension FileError {
  fileprivate var meansNoLocks: Bool {
    [ENOLCK, EBADF, EINVAL, ENOSYS, ENOTSUP, EOPNOTSUPP].contains(errno)
  }

  fileprivate static func busy(_ path: String) -> FileError {
    FileError(
      .other,
      path,
      .lock,
      "another run is writing it. Wait until that is done, or choose another name."
    )
  }
}
