import Foundation
import KaratBytes
import KaratCheckpoints
import KaratTensors
import KaratTestSupport
import Testing

/// A format and a small file of it, for the tests that damage every byte of the file.
struct ExhaustiveFormat: Sendable, CustomTestStringConvertible {
  let name: String
  /// Makes a file of about 4 KiB.
  let seed: @Sendable () throws -> [UInt8]
  /// Reads all that a file of these bytes holds.
  let read: @Sendable ([UInt8]) throws(CheckpointError) -> [Piece]
  /// Whether the format holds checks of all its bytes: damage is found, or changes nothing.
  let isChecked: Bool

  var testDescription: String { name }

  /// One thing that a file holds, such as a tensor.
  struct Piece: Hashable, Sendable {
    let name: TensorName
    let info: TensorInfo?
    let bytes: [UInt8]
  }

  /// Each format is an entry.
  static let all = [safetensors, gguf, index, pytorch, kcf]

  /// What stands for the path in errors.
  static let path = "damaged"

  static let safetensors = ExhaustiveFormat(
    name: "safetensors",
    seed: { try written { try SafetensorsWriter(metadata: ["format": "pt"]).write($0, to: $1) } },
    read: { bytes throws(CheckpointError) in
      try pieces(of: try SafetensorsReader(CheckpointFile(bytes, named: path)))
    },
    isChecked: false
  )

  static let gguf = ExhaustiveFormat(
    name: "gguf",
    seed: {
      try written { source, path in
        var metadata = GGUFMetadata()
        metadata.append("general.architecture", .string("llama"))
        metadata.append("general.alignment", .uint32(32))
        metadata.append("tokenizer.ggml.tokens", .array(.string(["a", "é", ""])))
        metadata.append("tokenizer.ggml.scores", .array(.float32([0, -1, .infinity])))
        metadata.append("x.flag", .bool(true))
        try GGUFWriter(metadata: metadata).write(source, to: path)
      }
    },
    read: { bytes throws(CheckpointError) in
      try pieces(of: try GGUFReader(CheckpointFile(bytes, named: path)))
    },
    isChecked: false
  )

  static let index = ExhaustiveFormat(
    name: "index",
    seed: {
      let entries = (0..<68).map {
        #""model.layers.\#($0 / 4).é.\#($0 % 4)":"model-0000\#($0 % 3)-of-00003.safetensors""#
      }
      let map = entries.joined(separator: ",")
      return Array(#"{"metadata":{"total_size":1234},"weight_map":{\#(map)}}"#.utf8)
    },
    read: { bytes throws(CheckpointError) in
      let index = try ShardIndex(bytes, path: path)
      return zip(index.names, index.places).map { name, place in
        Piece(name: name, info: nil, bytes: Array(index.shards[Int(place)].utf8))
      }
    },
    isChecked: false
  )

  static let pytorch = ExhaustiveFormat(
    name: "pytorch",
    seed: { try KaratCheckpointsTests.read(fixture("checkpoints/torch-seed.bin")) },
    read: { bytes throws(CheckpointError) in
      try pieces(of: try TorchReader(CheckpointFile(bytes, named: path)))
    },
    isChecked: true
  )

  static let kcf = ExhaustiveFormat(
    name: "kcf",
    seed: { try written { try ChunkedWriter().write($0, to: $1) } },
    read: { bytes throws(CheckpointError) in
      try pieces(of: try ChunkedReader(CheckpointFile(bytes, named: path)))
    },
    isChecked: true
  )

  static func pieces(of source: some TensorSource) throws(CheckpointError) -> [Piece] {
    var pieces: [Piece] = []
    for name in source.manifest.names {
      let tensor = try source.tensor(name)
      let info = TensorInfo(tensor.dtype, tensor.shape)
      pieces.append(Piece(name: name, info: info, bytes: tensor.withBytes { Array($0) }))
    }
    return pieces
  }

  /// The bytes that a writer makes of a few tensors, whose own bytes are noise.
  private static func written(
    _ write: (MemorySource, String) throws -> Void
  ) throws -> [UInt8] {
    var numbers = Numbers(seed: 9)
    var tensors: [TensorName: Tensor] = [:]
    for (name, dtype, shape) in [
      ("embed", DType.f32, [8, 32]), ("norm", .f32, [32]), ("bias", .f16, [2, 16]),
      ("scalar", .f32, []), ("empty", .f32, [0, 4]), ("counts", .i32, [5]),
      ("layers.0.weight", .bf16, [32, 34]), ("layers.1.weight", .i8, [37]),
    ] {
      tensors[TensorName(name)] = Tensor(dtype, Shape(shape)) { bytes in
        for index in bytes.indices { bytes[index] = UInt8(truncatingIfNeeded: numbers.next()) }
      }
    }
    var bytes: [UInt8] = []
    try inTemporaryFolder { (folder) throws in
      try write(MemorySource(tensors), "\(folder)/seed")
      bytes = try KaratCheckpointsTests.read("\(folder)/seed")
    }
    return bytes
  }
}
