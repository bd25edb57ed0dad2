import Foundation
import KaratCheckpoints
import KaratTensors
import Testing

/// The folder of real models that `make models` fetches.
private let models = ProcessInfo.processInfo.environment["KARAT_MODELS"]

/// all-MiniLM-L6-v2 as PyTorch 1.x saved it, and as safetensors, from two packages.
@Suite(.enabled(if: models != nil, "KARAT_MODELS names no folder of models: see make models"))
struct RealModelTorch {
  @Test(arguments: [FileAccess.copied, .mapped])
  func isTheSameModelAsItsSafetensors(_ access: FileAccess) throws {
    let archive = try Checkpoint.open(path: (models ?? ".") + "/minilm-bin", access: access)
    let safetensors = try Checkpoint.open(path: (models ?? ".") + "/minilm", access: access)
    #expect(archive is TorchReader)
    #expect(safetensors is SafetensorsReader)
    #expect(archive.manifest.count == 104)
    #expect(archive.manifest["embeddings.position_ids"]?.dtype == .i64)
    try expectSameTensors(archive, safetensors)
    let root = try ContentRoot.of(archive, threads: 2)
    #expect(try root == ContentRoot.of(safetensors, threads: 2))
  }
}
