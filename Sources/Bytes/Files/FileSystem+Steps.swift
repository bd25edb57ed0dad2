#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// The steps that writers are made of. Errors name the target, which the user knows, and never the
/// hidden path on the way to it.
extension FileSystem {
  /// Whether a path names anything, be it a symbolic link that leads nowhere.
  ///
  /// - Throws: `FileError` where that cannot be told.
  package func isThere(_ path: String) throws(FileError) -> Bool {
    do throws(FileError) {
      _ = try SystemCall.check(path, .open) { () throws(Errno) in
        try status(of: path, followingLink: false)
      }
      return true
    } catch  where error.kind == .missing {
      return false
    }
  }

  /// Creates a file for reading and writing; refuses where there is anything at the path.
  ///
  /// - Throws: `FileError` that names the target.
  package func create(
    _ path: String,
    onTheWayTo target: String
  ) throws(FileError) -> WritableFile {
    let descriptor = try SystemCall.check(target, .create) { () throws(Errno) in
      try open(path, for: .creating)
    }
    return WritableFile(descriptor, path: target, on: self)
  }

  /// Opens a regular file that is there for reading and writing.
  ///
  /// - Parameters:
  ///   - path: the file.
  ///   - target: what errors name, where the user does not know the path.
  /// - Returns: the file, which nobody has locked yet.
  /// - Throws: `FileError` where there is none, it is no regular file, or the rights do not suffice.
  package func openForUpdate(
    _ path: String,
    onTheWayTo target: String? = nil
  ) throws(FileError) -> WritableFile {
    let descriptor = try SystemCall.check(target ?? path, .open) { () throws(Errno) in
      try open(path, for: .updating)
    }
    let file = WritableFile(descriptor, path: target ?? path, on: self)
    guard try file.status().kind == .file else {
      throw FileError(
        .unsuitable,
        file.path,
        .open,
        "this is a pipe, a device or a socket; a regular file was needed."
      )
    }
    return file
  }

  /// Opens a folder, to lock it.
  func openFolder(_ path: String, onTheWayTo target: String) throws(FileError) -> WritableFile {
    let descriptor = try SystemCall.check(target, .open) { () throws(Errno) in
      try open(path, for: .folder)
    }
    return WritableFile(descriptor, path: target, on: self)
  }

  /// Makes the names in a folder last through a power cut.
  ///
  /// - Throws: `FileError` that names the target.
  package func flushFolder(_ path: String, onTheWayTo target: String) throws(FileError) {
    let folder = try openFolder(path, onTheWayTo: target)
    do throws(FileError) {
      try folder.flush()
    } catch  where error.errno == EINVAL || error.errno == ENOTSUP {
      // This file system has nothing to flush for a folder.
    }
  }

  /// Removes a file, or a folder and all that is in it; what resists, stays.
  package func removeAll(at path: String) {
    do throws(Errno) {
      try SystemCall.again { () throws(Errno) in try removeFile(path) }
    } catch {
      guard error.code == EISDIR || error.code == EPERM else { return }
      let held = try? SystemCall.again { () throws(Errno) in try names(in: path) }
      for name in held ?? [] { removeAll(at: Folder.join(path, name)) }
      try? SystemCall.again { () throws(Errno) in try removeFolder(path) }
    }
  }

  /// Moves a file into the place of a file that is there, and flushes the folder.
  func move(_ path: String, replacing target: String) throws(FileError) {
    try step(target) { () throws(Errno) in try rename(path, to: target, .replacing) }
    try flushFolder(Folder.containing(target), onTheWayTo: target)
  }

  /// Moves a file or folder to a path that must name nothing, and flushes the folder.
  func move(_ path: String, to target: String) throws(FileError) {
    do throws(FileError) {
      try step(target) { () throws(Errno) in try renameExclusively(path, to: target) }
    } catch  where [EEXIST, ENOTEMPTY, ENOTDIR].contains(error.errno) {
      throw .exists(target)
    }
    try flushFolder(Folder.containing(target), onTheWayTo: target)
  }

  /// Renames where the new path names nothing, on file systems that cannot do it in one call too.
  private func renameExclusively(_ path: String, to target: String) throws(Errno) {
    do throws(Errno) {
      return try rename(path, to: target, .exclusive)
    } catch  where error.isUnsupported {}
    do throws(Errno) {
      // A second name is refused where there is one; `rename` would replace it.
      try link(path, to: target)
      // Where the first name resists, the next run removes it.
      return removeAll(at: path)
    } catch  where error.isUnsupported || [EPERM, EMLINK, EISDIR].contains(error.code) {}
    guard (try? isThere(target)) == false else { throw Errno(EEXIST) }
    try rename(path, to: target, .replacing)
  }

  func step(_ target: String, _ work: () throws(Errno) -> Void) throws(FileError) {
    try SystemCall.check(target, .rename, work)
  }

  /// Refuses early where a disk has not the room for what is known to come.
  ///
  /// What a disk says is no promise: quotas, compression and other writers change it. So one that
  /// does not know is believed to have room, and writing finds out.
  func checkRoom(for byteCount: Int, in folder: String, of target: String) throws(FileError) {
    guard let free = try? freeBytes(in: folder), free < byteCount else { return }
    throw FileError(
      .full,
      target,
      .create,
      "it takes \(byteCount) bytes, and the disk has \(free) left. Free some space, or write to"
        + " another disk."
    )
  }
}

extension Errno {
  /// Whether the file system or the kernel does not know what was asked for.
  var isUnsupported: Bool { [EINVAL, ENOSYS, ENOTSUP, EOPNOTSUPP].contains(code) }
}
