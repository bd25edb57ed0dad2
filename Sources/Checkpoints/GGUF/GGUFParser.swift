import KaratBytes
import KaratTensors

/// Reads the parts of a GGUF header one behind the other, checked.
struct GGUFParser {
  /// What is wrong with the bytes.
  struct Fault: Error {
    let kind: CheckpointError.Kind
    let tensor: TensorName?
    let message: String
    /// Whether more bytes may be all that is missing.
    var isTruncation = false

    static func malformed(_ message: String, tensor: TensorName? = nil) -> Fault {
      Fault(kind: .malformed, tensor: tensor, message: message)
    }

    static func unsupported(_ message: String, tensor: TensorName? = nil) -> Fault {
      Fault(kind: .unsupported, tensor: tensor, message: message)
    }
  }

  /// What a header says about a tensor.
  struct TensorEntry {
    let name: TensorName
    let info: TensorInfo
    let offset: UInt64
  }

  private var cursor: ByteCursor
  private let fileByteCount: Int
  static let longestTensorName = 63
  static let largestRank = 4
  private static let largestArray: UInt64 = 1 << 30

  init(_ bytes: UnsafeRawBufferPointer, fileByteCount: Int) {
    cursor = ByteCursor(bytes)
    self.fileByteCount = fileByteCount
  }

  /// The offset of the next byte in the file.
  var offset: Int { cursor.offset }

  /// Whether a tensor may have this name.
  static func isTensorName(_ name: TensorName) -> Bool {
    1...longestTensorName ~= name.text.utf8.count && !name.text.utf8.contains(0)
  }

  /// Reads the magic number, the version and the numbers of tensors and values.
  mutating func counts() throws(Fault) -> (tensors: UInt64, values: UInt64) {
    guard try run(4).elementsEqual("GGUF".utf8) else {
      throw .malformed("it does not start with 'GGUF'.")
    }
    let version: UInt32 = try integer()
    guard version & 0xffff != 0 || version == 0 else {
      throw .unsupported("it is big-endian; only little-endian GGUF is read.")
    }
    guard version == 2 || version == 3 else {
      throw .unsupported("it is of GGUF version \(version); versions 2 and 3 are read.")
    }
    let tensors: UInt64 = try integer()
    let values: UInt64 = try integer()
    // A tensor's entry takes 24 bytes at least, a value's 13: what cannot be there is not waited for.
    try checkRoom(for: tensors, of: 24, "tensors")
    try checkRoom(for: values, of: 13, "values of metadata")
    return (tensors, values)
  }

  /// Reads a key and its value.
  mutating func keyAndValue() throws(Fault) -> (key: String, value: GGUFValue) {
    let key = try string("a key")
    guard !key.isEmpty else { throw .malformed("a key at byte \(offset) is empty.") }
    return (key, try value(of: key))
  }

  /// Reads what the header says about a tensor.
  mutating func tensorEntry() throws(Fault) -> TensorEntry {
    let name = TensorName(try string("a tensor's name"))
    guard Self.isTensorName(name) else {
      throw .malformed(
        "the name has \(name.text.utf8.count) bytes; 1 to \(Self.longestTensorName) without a zero"
          + " byte are allowed.",
        tensor: name
      )
    }
    let rank: UInt32 = try integer()
    guard rank <= Self.largestRank else {
      throw .malformed(
        "it has \(rank) dimensions; at most \(Self.largestRank) are allowed.",
        tensor: name
      )
    }
    var extents: [UInt64] = []
    for _ in 0..<rank { extents.append(try integer()) }
    let type: UInt32 = try integer()
    let offset: UInt64 = try integer()
    guard let dtype = GGUFTensorType.known[type] else {
      throw .unsupported(GGUFTensorType.refusal(of: type), tensor: name)
    }
    // GGUF gives the fastest dimension first.
    let dimensions = extents.reversed().compactMap { Int(exactly: $0) }
    guard dimensions.count == extents.count, let shape = Shape(checking: dimensions) else {
      throw .malformed("the product of the extents \(extents) is not below 2^63.", tensor: name)
    }
    let row = dimensions.last ?? 1
    guard row % dtype.block.elements == 0 else {
      throw .malformed(
        "its rows hold \(row) elements; \(dtype.rawValue) comes in blocks of"
          + " \(dtype.block.elements).",
        tensor: name
      )
    }
    guard dtype.byteCount(elementCount: shape.elementCount) != nil else {
      throw .malformed(
        "shape \(shape) of \(dtype.rawValue) takes more than 2^63 bytes.",
        tensor: name
      )
    }
    return TensorEntry(name: name, info: TensorInfo(dtype, shape), offset: offset)
  }
}

extension GGUFParser {
  private mutating func value(of key: String) throws(Fault) -> GGUFValue {
    let type: UInt32 = try integer()
    return switch type {
    case 0: .uint8(try integer())
    case 1: .int8(try integer())
    case 2: .uint16(try integer())
    case 3: .int16(try integer())
    case 4: .uint32(try integer())
    case 5: .int32(try integer())
    case 6: .float32(Float(bitPattern: try integer()))
    case 7: .bool(try bool(of: key))
    case 8: .string(try string("the value of \(TensorName(key).quoted)"))
    case 9: .array(try array(of: key))
    case 10: .uint64(try integer())
    case 11: .int64(try integer())
    case 12: .float64(Double(bitPattern: try integer()))
    default: throw unknownType(type, of: key)
    }
  }

  private mutating func array(of key: String) throws(Fault) -> GGUFArray {
    let type: UInt32 = try integer()
    let count: UInt64 = try integer()
    guard count <= Self.largestArray else {
      throw .malformed(
        "\(TensorName(key).quoted) has \(count) elements; at most \(Self.largestArray) are read."
      )
    }
    return switch type {
    case 0: .uint8(try integers(count, of: key))
    case 1: .int8(try integers(count, of: key))
    case 2: .uint16(try integers(count, of: key))
    case 3: .int16(try integers(count, of: key))
    case 4: .uint32(try integers(count, of: key))
    case 5: .int32(try integers(count, of: key))
    case 6: .float32(try integers(count, of: key).map { Float(bitPattern: $0) })
    case 7: .bool(try bools(count, of: key))
    case 8: .string(try strings(count, of: key))
    case 9: throw .unsupported("\(TensorName(key).quoted) is an array of arrays.")
    case 10: .uint64(try integers(count, of: key))
    case 11: .int64(try integers(count, of: key))
    case 12: .float64(try integers(count, of: key).map { Double(bitPattern: $0) })
    default: throw unknownType(type, of: key)
    }
  }

  private func unknownType(_ type: UInt32, of key: String) -> Fault {
    .malformed("\(TensorName(key).quoted) has a value of type \(type); 0 to 12 are known.")
  }

  private mutating func bool(of key: String) throws(Fault) -> Bool {
    let byte: UInt8 = try integer()
    guard byte <= 1 else {
      throw .malformed(
        "\(TensorName(key).quoted) holds the truth value \(byte); 0 or 1 was needed."
      )
    }
    return byte == 1
  }

  private mutating func bools(_ count: UInt64, of key: String) throws(Fault) -> [Bool] {
    try checkRoom(for: count, of: 1, "elements of \(TensorName(key).quoted)")
    var values: [Bool] = []
    for _ in 0..<count { values.append(try bool(of: key)) }
    return values
  }

  private mutating func strings(_ count: UInt64, of key: String) throws(Fault) -> [String] {
    try checkRoom(for: count, of: 8, "elements of \(TensorName(key).quoted)")
    var values: [String] = []
    for index in 0..<count {
      values.append(try string("element \(index) of \(TensorName(key).quoted)"))
    }
    return values
  }

  private mutating func integers<T: FixedWidthInteger & BitwiseCopyable>(
    _ count: UInt64,
    of key: String
  ) throws(Fault) -> [T] {
    let size = MemoryLayout<T>.size
    try checkRoom(for: count, of: UInt64(size), "elements of \(TensorName(key).quoted)")
    let bytes = try run(count * UInt64(size))
    return (0..<Int(count)).map {
      T(littleEndian: bytes.loadUnaligned(fromByteOffset: $0 * size, as: T.self))
    }
  }

  private mutating func string(_ what: @autoclosure () -> String) throws(Fault) -> String {
    let count: UInt64 = try integer()
    let start = offset
    try checkRoom(for: count, of: 1, "bytes of \(what())")
    guard let text = String(validating: try run(count), as: UTF8.self) else {
      throw .malformed("\(what()) at byte \(start) is not UTF-8.")
    }
    return text
  }

  private mutating func integer<T: FixedWidthInteger & BitwiseCopyable>() throws(Fault) -> T {
    do throws(ByteCursor.Truncation) {
      return try cursor.integer()
    } catch {
      throw truncated(error)
    }
  }

  private mutating func run(_ count: UInt64) throws(Fault) -> UnsafeRawBufferPointer {
    do throws(ByteCursor.Truncation) {
      return try cursor.run(count)
    } catch {
      throw truncated(error)
    }
  }

  private func truncated(_ truncation: ByteCursor.Truncation) -> Fault {
    var fault = Fault.malformed(
      "the header goes on at byte \(truncation.offset) with \(truncation.needed) bytes; the file"
        + " ends at byte \(fileByteCount). It was cut off; fetch it again."
    )
    fault.isTruncation = true
    return fault
  }

  /// Checks that the rest of the file can hold as many things of a least size.
  private func checkRoom(
    for count: UInt64,
    of size: UInt64,
    _ what: @autoclosure () -> String
  ) throws(Fault) {
    let left = UInt64(fileByteCount - offset)
    guard count <= left / size else {
      throw .malformed(
        "at byte \(offset) it tells of \(count) \(what()); the \(left) bytes that are left cannot"
          + " hold them."
      )
    }
  }
}
