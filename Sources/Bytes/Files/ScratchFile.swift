import Foundation

/// A file for what does not fit in memory for a while: it has no name, and is gone when it is
/// dropped or the process ends, however it ends.
package final class ScratchFile: Sendable {
  private let path: String
  private let number: Int32

  /// Makes one in the folder for temporary files, `TMPDIR` where that is set.
  ///
  /// - Throws: `FileError` where the folder cannot be written.
  package init() throws(FileError) {
    let folder = FileManager.default.temporaryDirectory.path
    var template = Array(Folder.join(folder, "karat.XXXXXX").utf8CString)
    let number = mkstemp(&template)
    guard number >= 0 else { throw FileError(errno: errno, folder, .create) }
    unlink(template)
    path = "the temporary file in \(folder)"
    self.number = number
  }

  deinit {
    close(number)
  }

  /// Writes bytes at an offset.
  ///
  /// - Throws: `FileError` where the disk is full or fails.
  package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError) {
    var done = 0
    while done < bytes.count {
      let count = pwrite(
        number,
        bytes.baseAddress.map { $0 + done },
        bytes.count - done,
        off_t(offset + done)
      )
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw FileError(errno: count < 0 ? errno : ENOSPC, path, .write) }
      done += count
    }
  }

  /// Reads what was written at an offset into the whole of a buffer.
  ///
  /// - Throws: `FileError` where the disk fails.
  package func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileError) {
    var done = 0
    while done < buffer.count {
      let count = pread(
        number,
        buffer.baseAddress.map { $0 + done },
        buffer.count - done,
        off_t(offset + done)
      )
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw FileError(errno: count < 0 ? errno : EIO, path, .read) }
      done += count
    }
  }
}
