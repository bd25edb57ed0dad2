import KaratBytes
import KaratTensors

/// A record of a zip archive: a name and bytes that are stored as they are.
struct ZipRecord {
  let name: String
  /// Where the bytes start in the file.
  let offset: Int
  let byteCount: Int
  /// What CRC-32 of the bytes is to be.
  let checksum: UInt32
}

/// The records of a zip archive, read and checked so that no two readers can disagree on them.
///
/// The rules, Z01 to Z15, are in `formats/pytorch.md`. Central directory and local headers say the
/// same; records, directory and end records fill the file from its first byte to its last.
struct ZipArchive {
  /// The records in the order in which they lie in the file.
  let records: [ZipRecord]

  /// The longest central directory that is read, in bytes.
  static let largestDirectory = 1 << 28

  /// Reads and checks all that describes the records; their bytes are not read.
  init(of file: CheckpointFile) throws(CheckpointError) {
    do throws(ZipFault) {
      let end = try ZipEnd(of: file)
      var entries = try ZipEntry.all(of: file, end)
      // A name is told by its bytes. Each is there once.
      var names = Set<UTF8Key>(minimumCapacity: entries.count)
      for entry in entries where !names.insert(UTF8Key(entry.name)).inserted {
        throw .malformed("there are two records of the name \(entry.quotedName).")
      }
      entries.sort { $0.headerOffset < $1.headerOffset }
      var cursor = 0
      var records: [ZipRecord] = []
      records.reserveCapacity(entries.count)
      for entry in entries {
        let offset = try entry.dataOffset(in: file, at: cursor, below: end.directoryOffset)
        records.append(
          ZipRecord(
            name: entry.name,
            offset: offset.data,
            byteCount: entry.byteCount,
            checksum: entry.checksum
          )
        )
        cursor = offset.end
      }
      guard cursor == end.directoryOffset else {
        throw .malformed(
          "the records end at byte \(cursor) and the central directory starts at byte"
            + " \(end.directoryOffset); nothing may lie between them."
        )
      }
      self.records = records
    } catch {
      throw CheckpointError(error.kind, file: file.path, error.message)
    }
  }
}

/// What is wrong with a zip archive.
struct ZipFault: Error {
  let kind: CheckpointError.Kind
  let message: String

  static func malformed(_ message: String) -> ZipFault {
    ZipFault(kind: .malformed, message: message)
  }

  static func unsupported(_ message: String) -> ZipFault {
    ZipFault(kind: .unsupported, message: message)
  }
}

extension CheckpointFile {
  /// A copy of a range of bytes that is known to be in the file, for what reads zip archives.
  func zipBytes(_ range: Range<Int>) throws(ZipFault) -> [UInt8] {
    do throws(CheckpointError) {
      return try bytes(range)
    } catch {
      throw ZipFault(kind: error.kind, message: error.message)
    }
  }
}

extension ByteCursor {
  /// Reads a whole number of a record whose bytes are known to be there.
  mutating func zip<T: FixedWidthInteger & BitwiseCopyable>(
    _ type: T.Type = T.self
  ) throws(ZipFault) -> T {
    do throws(Truncation) {
      return try integer()
    } catch {
      throw .malformed(
        "a record that describes the archive is cut off at byte \(error.offset) of its own."
      )
    }
  }
}
