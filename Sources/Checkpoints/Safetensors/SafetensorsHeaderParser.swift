import KaratBytes
import KaratTensors

/// Reads the JSON of a safetensors header in one pass, without a tree.
struct SafetensorsHeaderParser {
  /// What the header says about its tensors, not yet checked against the file.
  ///
  /// Lists side by side, not a list of entries: each goes into its final place without a copy.
  struct Tensors {
    var names: [TensorName] = []
    /// The types and shapes; the shape is empty where its extents overflow.
    var infos: [TensorInfo] = []
    var begins: [UInt64] = []
    var ends: [UInt64] = []
    /// The extents whose product has no number, by the tensor's place.
    var overflowing: [Int: [Int]] = [:]
    var metadata: [String: String] = [:]

    mutating func reserveCapacity(_ count: Int) {
      names.reserveCapacity(count)
      infos.reserveCapacity(count)
      begins.reserveCapacity(count)
      ends.reserveCapacity(count)
    }
  }

  private var scanner: JSONScanner
  private var tensors = Tensors()
  private var hasMetadata = false

  init(_ bytes: UnsafeRawBufferPointer) {
    // Nothing in a header lies deeper than the numbers of a shape.
    scanner = JSONScanner(bytes, depth: 3)
    // The shortest names make an entry of about 64 bytes: to grow lists would touch memory twice.
    tensors.reserveCapacity(bytes.count / 64)
  }

  mutating func parse() throws(JSONError) -> Tensors {
    try scanner.beginObject()
    while let key = try scanner.nextKey() {
      if key == "__metadata__" {
        try parseMetadata()
      } else {
        try parseTensor(TensorName(key))
      }
    }
    try scanner.end()
    return tensors
  }

  private mutating func parseMetadata() throws(JSONError) {
    guard !hasMetadata else { throw scanner.error("'__metadata__' is there twice.") }
    hasMetadata = true
    guard try scanner.kind() != .null else { return try scanner.null() }
    try scanner.beginObject()
    while let key = try scanner.nextKey() {
      let value = try scanner.string()
      if let place = tensors.metadata.index(forKey: key) {
        // Keys of the dictionary that users get compare by canonical equivalence.
        let isSame = UTF8Key(tensors.metadata[place].key) == UTF8Key(key)
        throw scanner.error(
          isSame
            ? "the metadata \(TensorName(key).quoted) is there twice."
            : "the metadata \(TensorName(key).quoted) is there before in other bytes of the same"
              + " text; rename one."
        )
      }
      tensors.metadata[key] = value
    }
  }

  private mutating func parseTensor(_ name: TensorName) throws(JSONError) {
    guard !name.text.utf8.contains(0) else {
      throw scanner.error("the name \(name.quoted) holds a zero byte, behind which others stop.")
    }
    var dtype: DType?
    var dimensions: [Int]?
    var offsets: (begin: UInt64, end: UInt64)?
    try scanner.beginObject()
    while let key = try scanner.nextKey() {
      let isFirst: Bool
      switch key {
      case "dtype":
        isFirst = dtype == nil
        dtype = try parseDType()
      case "shape":
        isFirst = dimensions == nil
        dimensions = try parseShape()
      case "data_offsets":
        isFirst = offsets == nil
        offsets = try parseOffsets()
      default:
        throw scanner.error(
          "\(name.quoted) has the key \(TensorName(key).quoted); dtype, shape and data_offsets are known."
        )
      }
      guard isFirst else { throw scanner.error("\(name.quoted) has the key '\(key)' twice.") }
    }
    guard let dtype, let dimensions, let offsets else {
      throw scanner.error("\(name.quoted) lacks one of dtype, shape and data_offsets.")
    }
    let shape = Shape(checking: dimensions)
    if shape == nil { tensors.overflowing[tensors.names.count] = dimensions }
    tensors.names.append(name)
    tensors.infos.append(TensorInfo(dtype, shape ?? [0]))
    tensors.begins.append(offsets.begin)
    tensors.ends.append(offsets.end)
  }

  private mutating func parseDType() throws(JSONError) -> DType {
    let text = try scanner.string()
    guard let dtype = DType(rawValue: text), !dtype.isQuantizedBlock else {
      let known = DType.safetensors.map(\.rawValue).joined(separator: ", ")
      throw scanner.error("the dtype \(TensorName(text).quoted) is not known; these are: \(known).")
    }
    return dtype
  }

  private mutating func parseShape() throws(JSONError) -> [Int] {
    var dimensions: [Int] = []
    try scanner.beginArray()
    while try scanner.nextElement() {
      let extent = try scanner.unsignedInteger()
      guard let extent = Int(exactly: extent) else {
        throw scanner.error("the extent \(extent) is not below 2^63.")
      }
      dimensions.append(extent)
    }
    return dimensions
  }

  private mutating func parseOffsets() throws(JSONError) -> (begin: UInt64, end: UInt64) {
    try scanner.beginArray()
    if try scanner.nextElement() {
      let begin = try scanner.unsignedInteger()
      if try scanner.nextElement() {
        let end = try scanner.unsignedInteger()
        if try !scanner.nextElement() { return (begin, end) }
      }
    }
    throw scanner.error("data_offsets hold two numbers, where a tensor's bytes start and end.")
  }
}

extension DType {
  /// The types of safetensors in the order of the reference, which the writer sorts by.
  static let safetensors = allCases.filter { !$0.isQuantizedBlock }
}
