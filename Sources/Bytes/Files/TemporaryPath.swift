#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// A hidden path beside the one that is to be written, and the steps from it to there.
///
/// What grows at `temporary` is moved to `target` in one step when it is whole, so that at every
/// moment the target is the old thing, or nothing, or the whole new thing.
struct TemporaryPath: Sendable {
  let target: String
  let folder: String
  let temporary: String

  /// Chooses `.NAME.RANDOM.partial` in the folder of the target.
  init(for target: String) {
    let trimmed = target.count > 1 && target.hasSuffix("/") ? String(target.dropLast()) : target
    let slash = trimmed.utf8.lastIndex(of: UInt8(ascii: "/"))
    let name = slash.map { trimmed[trimmed.utf8.index(after: $0)...] } ?? trimmed[...]
    let random = String(UInt64.random(in: .min ... .max), radix: 36)
    self.target = trimmed
    folder = slash.map { $0 == trimmed.startIndex ? "/" : String(trimmed[..<$0]) } ?? "."
    // File systems allow names of 255 bytes; a character is rarely more than 4.
    temporary = Folder.join(folder, ".\(name.prefix(50)).\(random).partial")
  }

  /// Moves a file to the target, replacing a file that is there.
  func moveReplacing() throws(FileError) {
    _ = try SystemCall.check(target, .rename) { rename(temporary, target) }
    try Folder.flush(folder)
  }

  /// Moves a file to the target, which must not be there.
  ///
  /// A second name is refused by the system where the target exists; `rename` would replace it.
  func moveFile() throws(FileError) {
    do {
      _ = try SystemCall.check(target, .rename) { link(temporary, target) }
      _ = unlink(temporary)
    } catch  where error.errno == EEXIST {
      throw .exists(target)
    } catch  where [EPERM, ENOTSUP, EMLINK, ENOSYS].contains(error.errno) {
      // This file system knows no second names.
      guard !FileStatus.isThere(target) else { throw .exists(target) }
      _ = try SystemCall.check(target, .rename) { rename(temporary, target) }
    }
    try Folder.flush(folder)
  }

  /// Moves a folder to the target, which must not be there or be an empty folder.
  func moveFolder() throws(FileError) {
    do {
      _ = try SystemCall.check(target, .rename) { rename(temporary, target) }
    } catch  where [EEXIST, ENOTEMPTY, ENOTDIR].contains(error.errno) {
      throw .exists(target)
    }
    try Folder.flush(folder)
  }

  /// Moves a folder to the target, and the folder that is there to nowhere.
  func exchangeFolder() throws(FileError) {
    let old = temporary + ".old"
    _ = try SystemCall.check(target, .rename) { rename(target, old) }
    do {
      _ = try SystemCall.check(target, .rename) { rename(temporary, target) }
    } catch {
      _ = rename(old, target)
      throw error
    }
    try Folder.flush(folder)
    Folder.remove(old)
  }
}
