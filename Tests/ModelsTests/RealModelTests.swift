import Foundation
import Karat
import KaratTestSupport
import Testing

/// The folder of real models that `make models` fetches.
private let models = ProcessInfo.processInfo.environment["KARAT_MODELS"]

@Suite(.enabled(if: models != nil, "KARAT_MODELS names no folder of models: see make models"))
struct RealModelConversion {
  @Test func aGGUFBecomesAFolderWithItsTokenizer() throws {
    let file = (models ?? ".") + "/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    try inTemporaryFolder { folder in
      try Conversion(file, dtype: .f32).write(folder + "/m", ModelWriter())
      let names = try FileManager.default.contentsOfDirectory(atPath: folder + "/m").sorted()
      #expect(
        names == [
          "config.json", "karat.json", "model.safetensors", "tokenizer.json",
          "tokenizer_config.json",
        ]
      )
      let (gguf, converted) = (try LoadedModel.open(file), try LoadedModel.open(folder + "/m"))
      #expect(converted.model.graph == gguf.model.graph)
      #expect(converted.maximumLength == gguf.maximumLength)
      #expect(converted.stopTokens == gguf.stopTokens)
      let text = try TextFile(fixture("text/botchan-heldout.txt")).text
      let ids = try gguf.tokenizer().encode(text)
      #expect(try converted.tokenizer().encode(text) == ids)
      let prompt = Array(ids.prefix(40))
      let logits = try Executor(gguf.model).logits(prompt)
      #expect(try Executor(converted.model).logits(prompt).isIdentical(to: logits))
    }
  }

  /// llama.cpp's vocabularies give the ids that it expects; other families are refused by name.
  @Test func vocabulariesInGGUFEncodeAsLlamaCpp() throws {
    let folder = (models ?? ".") + "/tokenizers/llama.cpp"
    let files = try FileManager.default.contentsOfDirectory(atPath: folder)
      .filter { $0.hasSuffix(".gguf") }
    #expect(files.count == 15)
    for file in files {
      let path = folder + "/" + file
      if file.contains("gemma-4") {
        let error = #expect(throws: TokenizerError.self) { _ = try ModelTokenizer.open(path) }
        #expect(error?.message.contains("'gemma4' is not supported") == true)
        continue
      }
      let tokenizer = try ModelTokenizer.open(path)
      let texts = try TextFile(path + ".inp").text
        .components(separatedBy: "\n__ggml_vocab_test__\n").dropLast()
      let lines = try TextFile(path + ".out").text.components(separatedBy: "\n")
      #expect(texts.count >= 46)
      for (text, line) in zip(texts, lines) {
        let ids = line.split(separator: " ").compactMap { Int32($0) }
        #expect(tokenizer.encode(text, addSpecialTokens: false) == ids, "\(file): \(text)")
      }
    }
  }
}
