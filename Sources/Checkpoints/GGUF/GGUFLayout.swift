import KaratBytes
import KaratTensors

/// What a GGUF file begins with, and where its tensors lie: checked by the rules of `formats/gguf.md`
/// before anything is written.
struct GGUFLayout {
  /// Everything before the first tensor's bytes.
  private(set) var header: [UInt8] = []
  /// How many zero bytes stand behind each tensor, in the order of the file.
  private(set) var padding: [Int] = []

  init(
    _ manifest: Manifest,
    metadata: GGUFMetadata,
    file: String
  ) throws(CheckpointError) {
    let alignment = try Self.alignment(metadata, file)
    header.append(contentsOf: "GGUF".utf8)
    append(3 as UInt32)
    append(UInt64(manifest.count))
    append(UInt64(metadata.members.count))
    for (key, value) in metadata.members {
      append(key)
      append(value)
    }
    var end = 0
    for name in manifest.names {
      guard let info = manifest[name] else { continue }
      let (type, byteCount) = try Self.check(name, info, file)
      append(name.text)
      append(UInt32(info.shape.rank))
      for extent in info.shape.dimensions.reversed() { append(UInt64(extent)) }
      append(type)
      append(UInt64(end))
      let padding = (alignment - byteCount % alignment) % alignment
      let (next, overflow) = end.addingReportingOverflow(byteCount)
      let (padded, overflowPadded) = next.addingReportingOverflow(padding)
      guard !overflow, !overflowPadded else {
        throw CheckpointError(
          .unsupported,
          file: file,
          tensor: name,
          "the tensors up to this one take more than 2^63 bytes."
        )
      }
      self.padding.append(padding)
      end = padded
    }
    let rest = (alignment - header.count % alignment) % alignment
    header.append(contentsOf: repeatElement(0, count: rest))
  }

  private static func alignment(
    _ metadata: GGUFMetadata,
    _ file: String
  ) throws(CheckpointError) -> Int {
    func fault(_ message: String) -> CheckpointError {
      CheckpointError(.unsupported, file: file, message)
    }
    guard metadata["split.count"].map({ $0.int == 1 || $0.int == 0 }) ?? true else {
      throw fault("the metadata call it a part of a split model; whole files are written.")
    }
    guard metadata[""] == nil else { throw fault("a key of the metadata is empty.") }
    guard let value = metadata["general.alignment"] else { return 32 }
    guard let alignment = GGUFHeader.alignment(value) else {
      throw fault("general.alignment is \(value); a power of two from 8 on is needed, as uint32.")
    }
    return Int(alignment)
  }

  /// Checks that the format can hold a tensor, and gives the number of its type and its bytes.
  private static func check(
    _ name: TensorName,
    _ info: TensorInfo,
    _ file: String
  ) throws(CheckpointError) -> (type: UInt32, byteCount: Int) {
    func fault(_ message: String) -> CheckpointError {
      CheckpointError(.unsupported, file: file, tensor: name, message)
    }
    guard GGUFParser.isTensorName(name) else {
      throw fault(
        "the name has \(name.text.utf8.count) bytes; GGUF allows 1 to"
          + " \(GGUFParser.longestTensorName), without a zero byte."
      )
    }
    guard let type = GGUFTensorType.number(of: info.dtype) else {
      let known = GGUFTensorType.names
      throw fault("GGUF has no type for \(info.dtype.rawValue); it has \(known).")
    }
    guard info.shape.rank <= GGUFParser.largestRank else {
      throw fault("it has \(info.shape.rank) dimensions; GGUF allows \(GGUFParser.largestRank).")
    }
    guard (info.shape.dimensions.last ?? 1) % info.dtype.block.elements == 0,
      let byteCount = info.byteCount
    else {
      throw fault(
        "its shape is \(info.shape); rows of \(info.dtype.rawValue) are made of blocks of"
          + " \(info.dtype.block.elements)."
      )
    }
    return (type, byteCount)
  }
}

extension GGUFLayout {
  private mutating func append<T: FixedWidthInteger>(_ value: T) {
    withUnsafeBytes(of: value.littleEndian) { header.append(contentsOf: $0) }
  }

  private mutating func append(_ text: String) {
    append(UInt64(text.utf8.count))
    header.append(contentsOf: text.utf8)
  }

  private mutating func append(_ value: Bool) { append(value ? 1 as UInt8 : 0) }

  private mutating func append(_ value: GGUFValue) {
    append(value.typeNumber)
    switch value {
    case .uint8(let value): append(value)
    case .int8(let value): append(value)
    case .uint16(let value): append(value)
    case .int16(let value): append(value)
    case .uint32(let value): append(value)
    case .int32(let value): append(value)
    case .float32(let value): append(value.bitPattern)
    case .bool(let value): append(value)
    case .string(let text): append(text)
    case .array(let array): append(array)
    case .uint64(let value): append(value)
    case .int64(let value): append(value)
    case .float64(let value): append(value.bitPattern)
    }
  }

  private mutating func append(_ array: GGUFArray) {
    append(array.typeNumber)
    switch array {
    case .uint8(let values): append(values) { $0.append($1) }
    case .int8(let values): append(values) { $0.append($1) }
    case .uint16(let values): append(values) { $0.append($1) }
    case .int16(let values): append(values) { $0.append($1) }
    case .uint32(let values): append(values) { $0.append($1) }
    case .int32(let values): append(values) { $0.append($1) }
    case .float32(let values): append(values) { $0.append($1.bitPattern) }
    case .bool(let values): append(values) { $0.append($1) }
    case .string(let texts): append(texts) { $0.append($1) }
    case .uint64(let values): append(values) { $0.append($1) }
    case .int64(let values): append(values) { $0.append($1) }
    case .float64(let values): append(values) { $0.append($1.bitPattern) }
    }
  }

  private mutating func append<T>(_ values: [T], _ append: (inout GGUFLayout, T) -> Void) {
    self.append(UInt64(values.count))
    for value in values { append(&self, value) }
  }
}
