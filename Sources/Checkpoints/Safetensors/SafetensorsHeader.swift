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

  /// Where the bytes of each tensor start in the file, in the order of the manifest.
  private let offsets: [Int]

  /// The longest header that the format allows, in bytes.
  static let largestByteCount = 100_000_000
  /// The bytes before the header, which hold its length.
  static let lengthByteCount = 8

  /// The type and shape of a tensor and where its bytes start in the file, or nil where there is
  /// none of that name.
  func entry(of name: TensorName) -> (info: TensorInfo, offset: Int)? {
    guard let place = manifest.place(of: name) else { return nil }
    return manifest[name].map { ($0, offsets[place]) }
  }

  /// Reads and checks the header of a file.
  init(of file: CheckpointFile) throws(CheckpointError) {
    let (tensors, length) = try Self.parse(file)
    do throws(Manifest.Duplicate) {
      manifest = try Manifest(tensors.names, tensors.infos, metadata: tensors.metadata)
    } catch {
      throw CheckpointError(
        .malformed,
        file: file.path,
        tensor: error.name,
        "the header names it twice; readers would disagree on which one counts."
      )
    }
    let dataStart = Self.lengthByteCount + length
    try Self.checkLayout(tensors, in: file, dataByteCount: file.byteCount - dataStart)
    offsets = tensors.begins.map { dataStart + Int($0) }
  }

  /// Reads what the header says; its text is let go at once, since it may be as large as the rest.
  private static func parse(
    _ file: CheckpointFile
  ) throws(CheckpointError) -> (SafetensorsHeaderParser.Tensors, length: Int) {
    let text = try Self.text(of: file)
    let tensors = try text.span.withUnsafeBytes { bytes throws(CheckpointError) in
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
    return (tensors, text.count)
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
  private static func checkLayout(
    _ tensors: SafetensorsHeaderParser.Tensors,
    in file: CheckpointFile,
    dataByteCount: Int
  ) throws(CheckpointError) {
    let dataByteCount = UInt64(dataByteCount)
    var cursor: UInt64 = 0
    for place in tensors.placesByOffset {
      func malformed(_ message: String) -> CheckpointError {
        CheckpointError(.malformed, file: file.path, tensor: tensors.names[place], message)
      }
      let (begin, end) = (tensors.begins[place], tensors.ends[place])
      guard begin == cursor else {
        throw malformed(
          "its bytes start at \(begin); those of the tensors before it end at \(cursor)."
            + " Holes and overlaps are not allowed."
        )
      }
      guard end >= begin else {
        throw malformed("its bytes start at \(begin) and end before, at \(end).")
      }
      if let extents = tensors.overflowing[place] {
        throw malformed("the product of the extents \(extents) is not below 2^63.")
      }
      let (dtype, shape) = (tensors.infos[place].dtype, tensors.infos[place].shape)
      let block = dtype.block.elements
      guard shape.elementCount.isMultiple(of: block) else {
        throw malformed(
          "shape \(shape) holds \(shape.elementCount) elements; \(dtype.rawValue) fills whole"
            + " bytes with \(block) only."
        )
      }
      guard let byteCount = dtype.byteCount(elementCount: shape.elementCount) else {
        throw malformed("shape \(shape) of \(dtype.rawValue) takes more than 2^63 bytes.")
      }
      guard end - begin == UInt64(byteCount) else {
        throw malformed(
          "bytes \(begin)..<\(end) are \(end - begin) bytes; shape \(shape) of \(dtype.rawValue)"
            + " needs \(byteCount)."
        )
      }
      cursor = end
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
  }
}

extension SafetensorsHeaderParser.Tensors {
  /// The tensors' places in the order of their bytes; nearly every writer keeps to it already.
  fileprivate var placesByOffset: [Int] {
    let isSorted = names.indices.dropFirst().allSatisfy { place in
      (begins[place - 1], ends[place - 1]) <= (begins[place], ends[place])
    }
    if isSorted { return Array(names.indices) }
    return names.indices.sorted { (begins[$0], ends[$0], $0) < (begins[$1], ends[$1], $1) }
  }
}
