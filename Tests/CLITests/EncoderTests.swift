import Foundation
import Karat
import KaratTestSupport
import Testing

extension Command {
  /// An encoder through the commands, as a decoder goes through them.
  @Suite struct Encoder {
    /// Words that the tests' texts are made of.
    private static let words = "a man dog plays sleeps the guitar sun in".split(separator: " ")

    /// bert-tiny with a vocabulary of a few words, mean-pooled and normalized.
    private func encoder(_ place: Workplace) throws {
      try place.copy("bert-tiny", as: "bert")
      let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
      let vocabulary = (special + Self.words.map(String.init)).enumerated()
        .map { "\"\($1)\":\($0)" }.joined(separator: ",")
      let added = special.enumerated().map {
        """
        {"id":\($0),"content":"\($1)","special":true,"single_word":false,"lstrip":false,
        "rstrip":false,"normalized":false}
        """
      }.joined(separator: ",")
      try place.write(
        """
        {"version":"1.0","truncation":null,"padding":null,"added_tokens":[\(added)],
        "normalizer":{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,
        "strip_accents":null,"lowercase":true},"pre_tokenizer":{"type":"BertPreTokenizer"},
        "post_processor":{"type":"BertProcessing","sep":["[SEP]",3],"cls":["[CLS]",2]},
        "decoder":{"type":"WordPiece","prefix":"##","cleanup":true},
        "model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##",
        "max_input_chars_per_word":100,"vocab":{\(vocabulary)}}}
        """,
        to: "bert/tokenizer.json"
      )
      try place.write(
        """
        [{"idx":0,"path":"","type":"sentence_transformers.models.Transformer"},
        {"idx":1,"path":"1_Pooling","type":"sentence_transformers.models.Pooling"},
        {"idx":2,"path":"2_Normalize","type":"sentence_transformers.models.Normalize"}]
        """,
        to: "bert/modules.json"
      )
    }

    private func sentence(_ random: inout Numbers) -> String {
      (0..<Int.random(in: 2...9, using: &random)).map { _ in
        String(Self.words.randomElement(using: &random) ?? "a")
      }.joined(separator: " ")
    }

    private func texts(_ place: Workplace) throws {
      var random = Numbers(seed: 4)
      let lines = (0..<80).map { _ in sentence(&random) }
      try place.write(lines.joined(separator: "\n\n") + "\n", to: "text.txt")
      let pairs = (0..<150).map { "\($0 % 6)\t\(sentence(&random))\t\(sentence(&random))" }
      try place.write(pairs.joined(separator: "\n"), to: "pairs.tsv")
    }

    @Test func runsDownTheRiver() throws {
      try inWorkplace { place in
        try encoder(place)
        try texts(place)
        let quantized = try place.karat(
          "quantize",
          "bert",
          "int8",
          "--calibration",
          "text.txt",
          "--max-drop",
          "5%"
        )
        #expect(quantized.status == 0, "\(quantized.errors)")
        #expect(try place.names(in: "int8").contains("modules.json"))
        for (data, keys) in [
          ("text.txt", ["texts", "tokens", "cosine", "bytes", "max_drop", "verdict"]),
          (
            "pairs.tsv",
            ["texts", "tokens", "pairs", "spearman", "cosine", "bytes", "max_drop", "verdict"]
          ),
        ] {
          let found = try place.karat(
            "verify",
            "bert",
            "int8",
            "--data",
            data,
            "--max-drop",
            "10%",
            "--json",
            "-"
          )
          #expect(found.status == 0, "\(found.errors)")
          let json = try JSONValue.parse([UInt8](found.output.utf8))
          #expect(json.object?.members.map(\.key) == keys)
          #expect(json["verdict"]?.string == "pass")
          #expect((json["cosine"]?["mean"]?.double ?? 0) > 0.95)
        }
        #expect(try place.karat("convert", "int8", "int8.kcf").status == 0)
        #expect(
          try place.karat("verify", "int8", "int8.kcf", "--data", "text.txt", "--max-drop", "0%")
            .status == 0
        )
      }
    }

    @Test func logitsWritesWhatAnEncoderGives() throws {
      try inWorkplace { place in
        try encoder(place)
        let outcome = try place.karat(
          "logits",
          "bert",
          "--text",
          "A dog sleeps",
          "--output",
          "out.safetensors"
        )
        #expect(outcome.status == 0)
        let outputs = try SafetensorsReader(place.path("out.safetensors"))
        #expect(
          outputs.manifest.names.map { "\($0) \(outputs.manifest[$0]?.shape.description ?? "")" }
            .sorted() == [
              "input_ids [1, 5]", "last_hidden_state [1, 5, 64]", "pooler_output [1, 64]",
              "sentence_embedding [1, 64]",
            ]
        )
        #expect(try outputs.tensor("input_ids").elements(as: Int64.self) == [2, 4, 6, 8, 3])
      }
    }

    @Test func whatDoesNotFitEndsWithAMessage() throws {
      try inWorkplace { place in
        try encoder(place)
        try place.write("5\ta man\tthe man\nhigh\ta\tb\n", to: "bad.tsv")
        try place.write(" \n\n", to: "blank.txt")
        for (data, message) in [
          ("bad.tsv", "karat: bad.tsv, line 2: the score is 'high'; a number is needed."),
          ("blank.txt", "karat: blank.txt: there is no line of text; at least one is needed."),
        ] {
          let outcome = try place.karat("verify", "bert", "bert", "--data", data)
          #expect(outcome.status == 65)
          #expect(outcome.message == message)
        }
        let mixed = try place.karat("verify", "bert", fixture("alice"), "--data", "blank.txt")
        #expect(mixed.status == 65)
        #expect(mixed.message.contains("is an encoder and the other a decoder"))
        let generated = try place.karat("generate", "bert", "--prompt", "a man")
        #expect(generated.status == 65)
      }
    }
  }
}
