import KaratBytes
import KaratTensors

/// The zip archive that torch.save writes since PyTorch 1.6: one folder with `data.pkl`, and a record
/// in `data/` for each storage.
struct TorchArchive {
  /// The pickle that says what the storages are.
  private(set) var pickle: [UInt8] = []

  private let file: CheckpointFile
  private let records: [UTF8Key: ZipRecord]

  private static let longestPickle = 1 << 28
  /// The versions of the container that PyTorch reads.
  private static let versions = 1...10
  /// What is there besides the storages, and PyTorch's own notes, whose names start with a dot.
  private static let known = ["data.pkl", "version", "byteorder"]

  /// Opens an archive, and reads what it says before the tensors.
  init(_ file: CheckpointFile) throws(CheckpointError) {
    try LegacyTorch.refuse(file)
    let archive = try ZipArchive(of: file)
    func refusal(_ kind: CheckpointError.Kind, _ message: String) -> CheckpointError {
      CheckpointError(kind, file: file.path, message)
    }
    guard let first = archive.records.first, let slash = first.name.firstIndex(of: "/") else {
      throw refusal(.malformed, "it is a zip archive without a folder; torch.save writes one.")
    }
    let folder = String(first.name[...slash])
    var records = Dictionary<UTF8Key, ZipRecord>(minimumCapacity: archive.records.count)
    for record in archive.records {
      guard record.name.utf8.starts(with: folder.utf8) else {
        throw refusal(
          .malformed,
          "the record \(TensorName(record.name).quoted) is not in the folder"
            + " \(TensorName(folder).quoted), where all of torch.save's are."
        )
      }
      let name = String(decoding: record.name.utf8.dropFirst(folder.utf8.count), as: UTF8.self)
      records[UTF8Key(name)] = record
    }
    for name in records.keys.map(\.text).sorted() where !Self.isKnown(name) {
      let isScript = ["code/", "constants.pkl", "bytecode.pkl", "models/"].contains {
        name.hasPrefix($0)
      }
      throw refusal(
        .unsupported,
        isScript
          ? "it holds a program beside the tensors, \(TensorName(name).quoted), as torch.jit and"
            + " torch.export write it. Save model.state_dict() with torch.save instead."
          : "the record \(TensorName(name).quoted) is not of those that torch.save writes."
      )
    }
    self.file = file
    self.records = records
    let version = String(decoding: try contents("version", limit: 64), as: UTF8.self)
    let digits = version.hasSuffix("\n") ? version.dropLast() : version[...]
    guard let number = Int(digits), Self.versions ~= number else {
      throw refusal(
        .unsupported,
        "it is of container version \(TensorName(version).quoted); \(Self.versions.lowerBound) to"
          + " \(Self.versions.upperBound) are read."
      )
    }
    let order =
      records[UTF8Key("byteorder")] == nil
      ? "little" : String(decoding: try contents("byteorder", limit: 64), as: UTF8.self)
    guard order == "little" else {
      throw refusal(
        .unsupported,
        "its byte order is \(TensorName(order).quoted); only little-endian tensors are read."
      )
    }
    pickle = try contents("data.pkl", limit: Self.longestPickle)
  }

  /// The record of a storage, or nil where there is none.
  func storage(_ key: String) -> ZipRecord? {
    records[UTF8Key("data/" + key)]
  }

  /// Checks that the bytes of a record are what was written.
  ///
  /// Cost: the record is read once.
  func check(_ record: ZipRecord) throws(CheckpointError) {
    var checksum = CRC32()
    let window = UnsafeMutableRawBufferPointer.allocate(
      byteCount: min(record.byteCount, 1 << 20),
      alignment: 64
    )
    defer { window.deallocate() }
    for start in stride(from: 0, to: record.byteCount, by: 1 << 20) {
      let piece = UnsafeMutableRawBufferPointer(
        rebasing: window[..<min(1 << 20, record.byteCount - start)]
      )
      try file.read(into: piece, at: record.offset + start)
      checksum.append(UnsafeRawBufferPointer(piece))
    }
    try check(checksum, of: record)
  }

  /// The bytes of a record that describes the tensors, checked.
  private func contents(_ name: String, limit: Int) throws(CheckpointError) -> [UInt8] {
    guard let record = records[UTF8Key(name)] else {
      throw CheckpointError(
        .unsupported,
        file: file.path,
        "it is a zip archive without the record '\(name)', which torch.save writes."
      )
    }
    guard record.byteCount <= limit else {
      throw CheckpointError(
        .unsupported,
        file: file.path,
        "the record '\(name)' holds \(record.byteCount) bytes; at most \(limit) are read."
      )
    }
    let bytes = try file.bytes(record.offset..<record.offset + record.byteCount)
    var checksum = CRC32()
    bytes.withUnsafeBytes { checksum.append($0) }
    try check(checksum, of: record)
    return bytes
  }

  private func check(_ checksum: CRC32, of record: ZipRecord) throws(CheckpointError) {
    guard checksum.value != record.checksum else { return }
    let found = String(checksum.value, radix: 16)
    throw CheckpointError(
      .malformed,
      file: file.path,
      "the bytes of the record \(TensorName(record.name).quoted) have CRC-32 \(found);"
        + (record.checksum == 0
          ? " none was written. Save it again after torch.serialization.set_crc32_options(True)."
          : " \(String(record.checksum, radix: 16)) was written. Fetch it again.")
    )
  }

  /// Whether torch.save writes a record of that name, in the archive's folder.
  private static func isKnown(_ name: String) -> Bool {
    if known.contains(name) || name.hasPrefix(".") { return true }
    let storage = "data/"
    return name.hasPrefix(storage) && !name.dropFirst(storage.count).contains("/")
  }
}
