import KaratBytes
import KaratTensors

/// The order of tensors in a safetensors file, and the header that says it.
///
/// The bytes are those of the reference: tensors sorted by descending dtype, then by name, and the
/// header filled up with spaces to a multiple of 8. Metadata is sorted as well, so that the same
/// tensors always give the same file.
struct SafetensorsLayout {
  let names: [TensorName]
  let header: [UInt8]
  /// The bytes of all tensors together.
  let dataByteCount: Int

  private static let metadataKey: TensorName = "__metadata__"

  /// Lays out some tensors of a manifest.
  ///
  /// - Throws: `CheckpointError` where the format cannot hold one of them.
  init(
    _ names: [TensorName],
    of manifest: Manifest,
    metadata: [String: String],
    file: String
  ) throws(CheckpointError) {
    let ranks = Dictionary(uniqueKeysWithValues: zip(DType.safetensors, 0...))
    var sorted: [(rank: Int, name: TensorName, info: TensorInfo)] = []
    for name in names {
      guard let info = manifest[name] else { throw .missing(name, in: "the source") }
      guard let rank = ranks[info.dtype] else {
        throw CheckpointError(
          .unsupported,
          file: file,
          tensor: name,
          "\(info.dtype.rawValue) blocks have no place in safetensors. Dequantize them first."
        )
      }
      guard name != Self.metadataKey, !name.text.utf8.contains(0) else {
        throw CheckpointError(
          .unsupported,
          file: file,
          tensor: name,
          "safetensors cannot hold a tensor of this name. Rename it first."
        )
      }
      sorted.append((rank, name, info))
    }
    sorted.sort { ($1.rank, $0.name) < ($0.rank, $1.name) }

    var writer = JSONWriter()
    var offset = 0
    writer.append("{")
    if !metadata.isEmpty { Self.write(metadata, to: &writer) }
    for (_, name, info) in sorted {
      if writer.text.count > 1 { writer.append(",") }
      let (end, overflow) = offset.addingReportingOverflow(info.byteCount ?? .max)
      guard !overflow else {
        throw CheckpointError(
          .unsupported,
          file: file,
          tensor: name,
          "the file would have more than 2^63 bytes."
        )
      }
      let extents = info.shape.dimensions.map(String.init).joined(separator: ",")
      writer.write(name.text)
      writer.append(#":{"dtype":"\#(info.dtype.rawValue)","shape":[\#(extents)],"#)
      writer.append(#""data_offsets":[\#(offset),\#(end)]}"#)
      offset = end
    }
    writer.append("}")
    writer.append(String(repeating: " ", count: -writer.text.count & 7))
    guard writer.text.count <= SafetensorsHeader.largestByteCount else {
      throw CheckpointError(
        .unsupported,
        file: file,
        "\(names.count) tensors need a header of \(writer.text.count) bytes; at most"
          + " \(SafetensorsHeader.largestByteCount) are allowed. Write several shards."
      )
    }
    self.names = sorted.map(\.name)
    header = writer.text
    dataByteCount = offset
  }

  private static func write(_ metadata: [String: String], to writer: inout JSONWriter) {
    writer.write(metadataKey.text)
    writer.append(":")
    var object = JSONObject()
    for (key, value) in metadata.sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) })
    {
      object[key] = .string(value)
    }
    writer.write(.object(object))
  }
}
