import KaratBytes
import KaratTensors

/// Reads the JSON of a safetensors header entry by entry, without a tree: a million tensors take a
/// second or two.
struct SafetensorsHeaderParser {
  /// What the header says about a tensor, not yet checked against the file.
  struct Entry {
    let name: TensorName
    let dtype: DType
    let dimensions: [Int]
    let begin: UInt64
    let end: UInt64
  }

  private var scanner: JSONScanner
  private var entries: [Entry] = []
  private var metadata: [String: String]?

  init(_ bytes: UnsafeRawBufferPointer) {
    // Nothing in a header lies deeper than the numbers of a shape.
    scanner = JSONScanner(bytes, depth: 3)
  }

  mutating func parse() throws(JSONError) -> (entries: [Entry], metadata: [String: String]) {
    try scanner.beginObject()
    while let key = try scanner.nextKey() {
      if key == "__metadata__" {
        try parseMetadata()
      } else {
        try parseEntry(TensorName(key))
      }
    }
    try scanner.end()
    return (entries, metadata ?? [:])
  }

  private mutating func parseMetadata() throws(JSONError) {
    guard metadata == nil else { throw scanner.error("'__metadata__' is there twice.") }
    metadata = [:]
    guard try scanner.kind() != .null else { return try scanner.null() }
    try scanner.beginObject()
    while let key = try scanner.nextKey() {
      let value = try scanner.string()
      guard metadata?.updateValue(value, forKey: key) == nil else {
        throw scanner.error("the metadata '\(key)' is there twice.")
      }
    }
  }

  private mutating func parseEntry(_ name: TensorName) throws(JSONError) {
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
          "\(name.quoted) has the key '\(key)'; dtype, shape and data_offsets are known."
        )
      }
      guard isFirst else { throw scanner.error("\(name.quoted) has the key '\(key)' twice.") }
    }
    guard let dtype, let dimensions, let offsets else {
      throw scanner.error("\(name.quoted) lacks one of dtype, shape and data_offsets.")
    }
    entries.append(
      Entry(
        name: name,
        dtype: dtype,
        dimensions: dimensions,
        begin: offsets.begin,
        end: offsets.end
      )
    )
  }

  private mutating func parseDType() throws(JSONError) -> DType {
    let text = try scanner.string()
    guard let dtype = DType(rawValue: text), !dtype.isQuantizedBlock else {
      let known = DType.safetensors.map(\.rawValue).joined(separator: ", ")
      throw scanner.error("the dtype '\(text)' is not known; these are: \(known).")
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
