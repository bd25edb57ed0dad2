#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// What is done with folders as such.
package enum Folder {
  /// The names of what is in a folder, sorted by their bytes, without `.` and `..`.
  ///
  /// - Throws: `FileError` where it is no folder or cannot be read.
  package static func names(in path: String) throws(FileError) -> [String] {
    guard let folder = opendir(path) else { throw FileError(errno: errno, path, .list) }
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
    guard errno == 0 else { throw FileError(errno: errno, path, .list) }
    return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  /// Joins a folder and the name of something in it.
  package static func join(_ path: String, _ name: String) -> String {
    path.hasSuffix("/") ? path + name : path + "/" + name
  }

  static func create(_ path: String) throws(FileError) {
    _ = try SystemCall.check(path, .create) { mkdir(path, 0o777) }
  }

  /// Removes a file, or a folder and all that is in it; what resists, stays.
  static func remove(_ path: String) {
    guard unlink(path) == -1, errno == EISDIR || errno == EPERM else { return }
    for name in (try? names(in: path)) ?? [] { remove(join(path, name)) }
    _ = rmdir(path)
  }

  /// Makes the names in a folder last through a power cut.
  static func flush(_ path: String) throws(FileError) {
    let number = try SystemCall.check(path, .open) { open(path, O_RDONLY | O_CLOEXEC) }
    defer { _ = close(number) }
    do {
      _ = try SystemCall.check(path, .flush) { fsync(number) }
    } catch  where error.errno == EINVAL || error.errno == ENOTSUP {
      // This file system has nothing to flush for a folder.
    }
  }
}
