import KaratBytes
import KaratTensors

/// The hyper-parameters of a decoder, as a GGUF file's metadata hold them.
package struct GGUFHyperparameters {
  let blockCount: Int
  let contextLength: Int
  let hiddenSize: Int
  let intermediateSize: Int
  let headCount: Int
  let keyValueHeadCount: Int
  let headSize: Int
  let normEpsilon: Float
  let ropeBase: Float

  package init(
    blockCount: Int,
    contextLength: Int,
    hiddenSize: Int,
    intermediateSize: Int,
    headCount: Int,
    keyValueHeadCount: Int,
    headSize: Int,
    normEpsilon: Float,
    ropeBase: Float
  ) {
    self.blockCount = blockCount
    self.contextLength = contextLength
    self.hiddenSize = hiddenSize
    self.intermediateSize = intermediateSize
    self.headCount = headCount
    self.keyValueHeadCount = keyValueHeadCount
    self.headSize = headSize
    self.normEpsilon = normEpsilon
    self.ropeBase = ropeBase
  }

  /// Reads them.
  ///
  /// - Throws: `CheckpointError` where one is missing, of another type, or beyond reason.
  init(of file: GGUFReader, _ architecture: String) throws(CheckpointError) {
    func read<Value>(
      _ key: String,
      default fallback: Value?,
      _ needed: String,
      _ read: (GGUFValue) -> Value?
    ) throws(CheckpointError) -> Value {
      let key = "\(architecture).\(key)"
      guard let value = file.metadata[key] else {
        if let fallback { return fallback }
        throw CheckpointError(
          .missing,
          file: file.path,
          "there is no '\(key)', which the architecture needs."
        )
      }
      guard let value = read(value) else {
        throw CheckpointError(
          .malformed,
          file: file.path,
          "'\(key)' is \(value.summary); \(needed) was needed."
        )
      }
      return value
    }
    func int(_ key: String, default fallback: Int? = nil) throws(CheckpointError) -> Int {
      try read(key, default: fallback, "a whole number of 1 to \(Self.largest)") { value in
        value.int.flatMap { 1...Self.largest ~= $0 ? $0 : nil }
      }
    }
    func float(_ key: String, default fallback: Float? = nil) throws(CheckpointError) -> Float {
      try read(key, default: fallback, "a positive floating-point number") { value in
        value.double.map(Float.init).flatMap { $0.isFinite && $0 > 0 ? $0 : nil }
      }
    }
    blockCount = try int("block_count")
    contextLength = try int("context_length")
    hiddenSize = try int("embedding_length")
    intermediateSize = try int("feed_forward_length")
    headCount = try int("attention.head_count")
    keyValueHeadCount = try int("attention.head_count_kv", default: headCount)
    headSize = try int("attention.key_length", default: hiddenSize / headCount)
    normEpsilon = try float("attention.layer_norm_rms_epsilon")
    ropeBase = try float("rope.freq_base", default: 10000)
    guard headSize >= 2, headSize.isMultiple(of: 2) else {
      throw CheckpointError(
        .malformed,
        file: file.path,
        "its heads hold \(headSize) elements each; an even number was needed."
      )
    }
    for (key, needed) in [("attention.value_length", headSize), ("rope.dimension_count", headSize)]
    where try int(key, default: needed) != needed {
      throw CheckpointError(
        .unsupported,
        file: file.path,
        "'\(architecture).\(key)' is not the \(needed) elements of a head, and only that is read."
      )
    }
  }

  private static let largest = 1 << 31

  /// The keys and values that `init(of:_:)` reads.
  ///
  /// - Precondition: every number is below 2^32.
  package func metadata(_ architecture: String) -> [(key: String, value: GGUFValue)] {
    let values: [(String, GGUFValue)] = [
      ("block_count", .uint32(UInt32(blockCount))),
      ("context_length", .uint32(UInt32(contextLength))),
      ("embedding_length", .uint32(UInt32(hiddenSize))),
      ("feed_forward_length", .uint32(UInt32(intermediateSize))),
      ("attention.head_count", .uint32(UInt32(headCount))),
      ("attention.head_count_kv", .uint32(UInt32(keyValueHeadCount))),
      ("attention.key_length", .uint32(UInt32(headSize))),
      ("attention.value_length", .uint32(UInt32(headSize))),
      ("attention.layer_norm_rms_epsilon", .float32(normEpsilon)),
      ("rope.dimension_count", .uint32(UInt32(headSize))),
      ("rope.freq_base", .float32(ropeBase)),
    ]
    return values.map { ("\(architecture).\($0)", $1) }
  }
}

extension GGUFValue {
  /// The value as it stands in messages; long ones by their kind only.
  var summary: String {
    switch self {
    case .array: "an array"
    case .string(let text): TensorName(text).quoted
    case .bool(let value): "\(value)"
    default: int.map(String.init) ?? double.map { "\($0)" } ?? "beyond 2^63"
    }
  }
}
