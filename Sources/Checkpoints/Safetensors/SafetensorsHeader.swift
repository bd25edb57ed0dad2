import KaratBytes
public import KaratTensors

/// The header of a safetensors file, read and checked against every rule of the format.
///
/// The rules, and where we are stricter than the reference reader, are in `formats/safetensors.md`.
/// A header of this type is valid by construction: every tensor's bytes lie in the file, and all
/// bytes behind the header belong to a tensor.
public struct SafetensorsHeader: Sendable {
  /// Names, types and shapes in the order of the header, and the text under `__metadata__`.
  public let manifest: Manifest

  private let offsets: [TensorName: Int]

  /// The longest header that the format allows, in bytes.
  static let largestByteCount = 100_000_000
  /// The bytes before the header, which hold its length.
  static let lengthByteCount = 8

  /// Where the bytes of a tensor start in the file, or nil where there is none of that name.
  func offset(of name: TensorName) -> Int? { offsets[name] }

  /// Reads and checks the header of a file.
  init(of file: CheckpointFile) throws(CheckpointError) {
    let text = try Self.text(of: file)
    let parsed = try text.span.withUnsafeBytes { bytes throws(CheckpointError) in
      do throws(JSONError) {
        var parser = SafetensorsHeaderParser(bytes)
        return try parser.parse()
      } catch {
        throw CheckpointError(
          .malformed,
          file: file.path,
          "the header at byte \(Self.lengthByteCount + error.offset): \(error.message)"
        )
      }
    }
    let dataStart = Self.lengthByteCount + text.count
    var manifest = Manifest(metadata: parsed.metadata)
    manifest.reserveCapacity(parsed.entries.count)
    var offsets = Dictionary<TensorName, Int>(minimumCapacity: parsed.entries.count)
    let infos = try Self.checkLayout(parsed.entries, in: file, dataStart: dataStart)
    for (entry, info) in zip(parsed.entries, infos) {
      guard manifest.set(entry.name, info) else {
        throw CheckpointError(
          .malformed,
          file: file.path,
          tensor: entry.name,
          "the header names it twice; readers would disagree on which one counts."
        )
      }
      offsets[entry.name] = dataStart + Int(entry.begin)
    }
    self.manifest = manifest
    self.offsets = offsets
  }

  /// Reads the bytes of the header.
  private static func text(of file: CheckpointFile) throws(CheckpointError) -> [UInt8] {
    func malformed(_ message: String) -> CheckpointError {
      CheckpointError(.malformed, file: file.path, message)
    }
    guard file.byteCount >= lengthByteCount else {
      throw malformed(
        "it holds \(file.byteCount) bytes; a safetensors file starts with 8 that tell how long its"
          + " header is. Fetch it again."
      )
    }
    let length = try file.bytes(0..<lengthByteCount).reversed().reduce(0 as UInt64) {
      $0 << 8 | UInt64($1)
    }
    guard length <= UInt64(largestByteCount) else {
      throw malformed(
        "its first 8 bytes tell of a header of \(length) bytes; at most \(largestByteCount) are"
          + " allowed. It is no safetensors file, or damaged."
      )
    }
    let end = lengthByteCount + Int(length)
    guard end <= file.byteCount else {
      throw malformed(
        "the header is to end at byte \(end); the file ends at byte \(file.byteCount). It was cut"
          + " off; fetch it again."
      )
    }
    return try file.bytes(lengthByteCount..<end)
  }

  /// Checks that the tensors, sorted by their place, fill the file without holes or overlaps.
  ///
  /// - Returns: their types and shapes in the order of the entries.
  private static func checkLayout(
    _ entries: [SafetensorsHeaderParser.Entry],
    in file: CheckpointFile,
    dataStart: Int
  ) throws(CheckpointError) -> [TensorInfo] {
    let dataByteCount = UInt64(file.byteCount - dataStart)
    var infos = [TensorInfo?](repeating: nil, count: entries.count)
    var cursor: UInt64 = 0
    for place in Self.places(of: entries) {
      let entry = entries[place]
      func malformed(_ message: String) -> CheckpointError {
        CheckpointError(.malformed, file: file.path, tensor: entry.name, message)
      }
      guard entry.begin == cursor else {
        throw malformed(
          "its bytes start at \(entry.begin); those of the tensors before it end at \(cursor)."
            + " Holes and overlaps are not allowed."
        )
      }
      guard entry.end >= entry.begin else {
        throw malformed("its bytes start at \(entry.begin) and end before, at \(entry.end).")
      }
      guard let shape = Shape(checking: entry.dimensions) else {
        throw malformed("the product of the extents \(entry.dimensions) is not below 2^63.")
      }
      let block = entry.dtype.block.elements
      guard shape.elementCount.isMultiple(of: block) else {
        throw malformed(
          "shape \(shape) holds \(shape.elementCount) elements; \(entry.dtype.rawValue) fills whole"
            + " bytes with \(block) only."
        )
      }
      guard let byteCount = entry.dtype.byteCount(elementCount: shape.elementCount) else {
        throw malformed("shape \(shape) of \(entry.dtype.rawValue) takes more than 2^63 bytes.")
      }
      guard entry.end - entry.begin == UInt64(byteCount) else {
        throw malformed(
          "bytes \(entry.begin)..<\(entry.end) are \(entry.end - entry.begin) bytes; shape \(shape)"
            + " of \(entry.dtype.rawValue) needs \(byteCount)."
        )
      }
      infos[place] = TensorInfo(entry.dtype, shape)
      cursor = entry.end
    }
    guard cursor == dataByteCount else {
      throw CheckpointError(
        .malformed,
        file: file.path,
        cursor > dataByteCount
          ? "behind the header are \(dataByteCount) bytes; the tensors need \(cursor). It was cut"
            + " off; fetch it again."
          : "behind the header are \(dataByteCount) bytes; the tensors account for \(cursor) only."
      )
    }
    return infos.compactMap(\.self)
  }
}

extension SafetensorsHeader {
  /// The entries' indices in the order of their bytes.
  private static func places(of entries: [SafetensorsHeaderParser.Entry]) -> [Int] {
    // Numbers alone are sorted: to move whole entries would cost most of the time.
    var keys = zip(entries.indices, entries).map { (begin: $1.begin, end: $1.end, index: $0) }
    keys.sort { ($0.begin, $0.end, $0.index) < ($1.begin, $1.end, $1.index) }
    return keys.map(\.index)
  }
}
