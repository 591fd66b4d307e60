// The original that edgerooms replaces: Gin with gorilla/websocket, a hub of rooms by name, a goroutine that writes for
// every socket. "coalesce" joins all that waits for a socket into one message of lines, as gorilla's chat example does.
package main

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"

	"github.com/gin-gonic/gin"
	"github.com/gorilla/websocket"
)

var secret = []byte(os.Args[1])
var coalesce = len(os.Args) > 2 && os.Args[2] == "coalesce"
var upgrader = websocket.Upgrader{ReadBufferSize: 1024, WriteBufferSize: 4096}

type client struct {
	socket *websocket.Conn
	send   chan []byte
}

type room struct {
	sync.RWMutex
	clients map[*client]bool
}

var (
	lock  sync.Mutex
	rooms = map[string]*room{}
)

func roomOf(name string) *room {
	lock.Lock()
	defer lock.Unlock()
	if rooms[name] == nil {
		rooms[name] = &room{clients: map[*client]bool{}}
	}
	return rooms[name]
}

func (r *room) broadcast(message []byte) {
	r.RLock()
	defer r.RUnlock()
	for c := range r.clients {
		c.send <- message
	}
}

// Only the signature: Debian packages no JWT library for Go, and the claims of these tokens are all valid.
func verified(c *gin.Context) {
	parts := strings.Split(strings.TrimPrefix(c.GetHeader("Authorization"), "Bearer "), ".")
	if len(parts) == 3 {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(parts[0] + "." + parts[1]))
		if given, err := base64.RawURLEncoding.DecodeString(parts[2]); err == nil && hmac.Equal(mac.Sum(nil), given) {
			return
		}
	}
	c.AbortWithStatus(http.StatusUnauthorized)
}

func join(c *gin.Context) {
	socket, err := upgrader.Upgrade(c.Writer, c.Request, nil)
	if err != nil {
		return
	}
	r := roomOf(c.Param("room"))
	me := &client{socket, make(chan []byte, 256)}
	r.Lock()
	r.clients[me] = true
	r.Unlock()
	go me.write()
	for {
		_, message, err := socket.ReadMessage()
		if err != nil {
			break
		}
		r.broadcast(message)
	}
	r.Lock()
	delete(r.clients, me)
	r.Unlock()
	close(me.send)
}

func (c *client) write() {
	defer c.socket.Close()
	failed := false
	for message := range c.send {
		if failed {
			continue // Until the reader has left the room: no publisher may wait for a dead socket.
		}
		if !coalesce {
			failed = c.socket.WriteMessage(websocket.TextMessage, message) != nil
			continue
		}
		w, err := c.socket.NextWriter(websocket.TextMessage)
		if err != nil {
			failed = true
			continue
		}
		w.Write(message)
		for waiting := len(c.send); waiting > 0; waiting-- {
			more, ok := <-c.send
			if !ok {
				break
			}
			w.Write([]byte{'\n'})
			w.Write(more)
		}
		failed = w.Close() != nil
	}
}

func main() {
	gin.SetMode(gin.ReleaseMode)
	router := gin.New()
	router.GET("/rooms/:room", verified, join)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	// Ends with the bench: then the pipe closes.
	go func() {
		bufio.NewReader(os.Stdin).ReadByte()
		os.Exit(0)
	}()
	panic(http.Serve(listener, router))
}
