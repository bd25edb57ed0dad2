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

private enum Writer {
  case living, dead
  /// The file system knows no locks.
  case unknown
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
    let found = try? SystemCall.again { () throws(Errno) in try names(in: paths.folder) }
    var left: [Partial] = []
    for name in found ?? [] {
      guard let role = paths.role(of: name) else { continue }
      let path = Folder.join(paths.folder, name)
      guard let lock = try? openWhatIsLeft(at: path, target: paths.target) else { continue }
      let partial = Partial(path: path, lock: lock)
      switch (role, writer(of: partial)) {
      case (_, .living): break
      case (.replaced, _):
        // Where the target is there, its writer has no more use for it, even if it lives; where not,
        // a living writer that this overtakes, since locks are unknown, finds the target taken.
        switch try? isThere(paths.target) {
        case true?: left.append(partial)
        case false?: try? move(path, to: paths.target)
        case nil: break
        }
      case (_, .unknown): break
      case (kept, .dead):
        // It was committed, and only the hidden name was not removed.
        if (try? lock.isAt(paths.target)) == true { left.append(partial) }
      case (_, .dead): left.append(partial)
      }
    }
    // What an exchange left on the hidden path goes only after the exchange is sure to last.
    guard !left.isEmpty,
      (try? flushFolder(paths.folder, onTheWayTo: paths.target)) != nil
    else { return }
    for partial in left { removeAll(at: partial.path) }
  }

  private func openWhatIsLeft(at path: String, target: String) throws(FileError) -> WritableFile? {
    let kind = try SystemCall.check(target, .open) { () throws(Errno) in
      try status(of: path, followingLink: false)
    }.kind
    switch kind {
    case .file: return try openForUpdate(path, onTheWayTo: target)
    case .folder: return try openFolder(path, onTheWayTo: target)
    case .other: return nil
    }
  }

  /// Takes the lock of what was left, and says what that tells of its writer.
  private func writer(of partial: Partial) -> Writer {
    do throws(FileError) {
      guard try partial.lock.tryLock(), try partial.lock.isAt(partial.path) else { return .living }
      return .dead
    } catch {
      return error.meansNoLocks ? .unknown : .living
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
